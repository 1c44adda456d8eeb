# SPDX-License-Identifier: Apache-2.0
"""The image on this machine's kernel, with the capabilities of the chart and no other."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel.host import effective_capabilities
from tests.deploy.conftest import Container

CHART = ("BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYSLOG", "CHOWN", "SETUID", "SETGID", "KILL", "SYS_RESOURCE")  # fmt: skip  # noqa: E501
"""tests/chart/test_chart.py keeps it equal to the chart's."""

pytestmark = pytest.mark.root


@pytest.fixture
def agent(image: Path, runc: str, bpffs: Path, tmp_path: Path) -> Iterator[Container]:
    """The agent in its container, ready."""
    mine = effective_capabilities()
    container = Container(image, tmp_path / "c", [name for name in CHART if name.lower() in mine], bpffs)
    container.start()
    for _ in range(100):
        if container.process.poll() is not None or container.run("health").returncode == 0:
            break
        time.sleep(0.2)
    yield container
    if container.process.poll() is None:
        assert container.stop() == 0


def test_it_sees_what_runs_on_the_host(agent: Container) -> None:
    marker = f"from-the-host-{time.monotonic_ns()}"
    subprocess.run(["/bin/true", marker], check=True)
    for _ in range(50):
        if marker in (lines := agent.run("events", "-o", "json", "--type", "exec").stdout):
            break
        time.sleep(0.1)
    (found,) = [json.loads(line) for line in lines.splitlines() if marker in line]
    assert found["node_name"] == "n1" and found["process_exec"]["process"]["uid"] == 0
    assert found["tracehound"]["user"] == "root"


def test_all_programs_are_attached(agent: Container) -> None:
    state = json.loads(agent.run("status", "-o", "json").stdout)
    assert state["health"]["state"] == "ok" and all(one["attached"] for one in state["programs"])


def test_doctor_says_that_the_base_sensor_can_run(agent: Container) -> None:
    done = agent.run("doctor")
    assert done.returncode == 0, done.stdout


def test_there_is_no_shell_and_no_compiler_in_it(image: Path) -> None:
    modes = ((path.name, path.lstat().st_mode) for path in image.rglob("*"))
    programs = {name for name, mode in modes if stat.S_ISREG(mode) and mode & 0o111}
    assert not programs & {"sh", "bash", "dash", "busybox", "cc", "gcc", "clang", "pip", "apt", "perl"}


def test_it_is_small(image: Path) -> None:
    assert sum(path.lstat().st_size for path in image.rglob("*")) < 150e6


def test_its_parts_are_listed(image: Path) -> None:
    parts = json.loads((image / "opt/tracehound/share/sbom.cdx.json").read_text())
    names = {one["name"] for one in parts["components"]}
    assert {"orjson", "protobuf", "libbpf1", "libc6"} <= names
    assert parts["metadata"]["component"]["name"] == "tracehound"


def test_nothing_of_the_machine_that_built_it_is_left(image: Path) -> None:
    left = [path for name in ("pip.conf", "99transport", "sources.list") for path in image.rglob(name)]
    assert left == [] and not (image / "src").exists()
