# SPDX-License-Identifier: Apache-2.0
"""Installation on a plain host, with a stand-in for the program: service, places, and their removal."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import ROOT

UNIT = ROOT / "deploy" / "host" / "tracehound.service"
CHART = ROOT / "charts" / "tracehound" / "templates" / "_helpers.tpl"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An unpacked archive whose program does nothing."""
    top = tmp_path / "package"
    (top / "tree" / "bin").mkdir(parents=True)
    program = top / "tree" / "bin" / "tracehound"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    shutil.copytree(ROOT / "deploy" / "host", top / "host")
    shutil.copy(ROOT / "deploy" / "install.sh", top)
    (top / "ARCH").write_text(platform.machine())
    return top


def install(package: Path, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Below another root; nothing is started."""
    return subprocess.run(
        [str(package / "install.sh"), *options],
        env={**os.environ, "DESTDIR": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.root
def test_it_puts_everything_into_place(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    done = install(package, root)
    assert done.returncode == 0, done.stderr
    for place in (
        "opt/tracehound/bin/tracehound",
        "etc/systemd/system/tracehound.service",
        "etc/tracehound/tracehound.yaml",
        "etc/tracehound/policies.d",
        "var/lib/tracehound",
    ):
        assert (root / place).exists(), place
    assert (root / "usr/local/bin/tracehound").readlink() == Path("/opt/tracehound/bin/tracehound")


@pytest.mark.root
def test_an_upgrade_keeps_settings_and_leaves_nothing_of_the_old_version(
    package: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    install(package, root)
    (root / "etc/tracehound/tracehound.yaml").write_text("node_name: n1\n")
    (root / "opt/tracehound/old").touch()
    assert install(package, root).returncode == 0
    assert (root / "etc/tracehound/tracehound.yaml").read_text() == "node_name: n1\n"
    assert sorted(path.name for path in (root / "opt").iterdir()) == ["tracehound"]
    assert not (root / "opt/tracehound/old").exists()


@pytest.mark.root
def test_a_version_that_does_not_take_the_settings_leaves_the_former(package: Path, tmp_path: Path) -> None:
    (package / "tree/bin/tracehound").write_text("#!/bin/sh\necho unknown key >&2\nexit 2\n")
    former = "mkdir -p /opt/tracehound/bin && printf '#!/bin/sh\n' >/opt/tracehound/bin/tracehound"
    script = f"""mount -t tmpfs tmpfs /opt && {former} && chmod 755 /opt/tracehound/bin/tracehound
        {package}/install.sh --no-start; echo "status $?"
        /opt/tracehound/bin/tracehound && ls -A /opt"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["status", "1", "tracehound"]
    assert "unknown key" in done.stderr and "nothing was changed" in done.stderr


@pytest.mark.root
def test_removal_keeps_settings_and_log_until_they_are_purged(package: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    install(package, root)
    assert install(package, root, "--uninstall").returncode == 0
    assert not (root / "opt/tracehound").exists() and (root / "var/lib/tracehound").exists()
    install(package, root, "--uninstall", "--purge")
    assert not (root / "var/lib/tracehound").exists() and not (root / "etc/tracehound").exists()


def test_somebody_elses_directory_is_not_replaced(package: Path, tmp_path: Path) -> None:
    (tmp_path / "root/opt/tracehound").mkdir(parents=True)
    (tmp_path / "root/opt/tracehound/precious").touch()
    done = install(package, tmp_path / "root")
    assert done.returncode == 1 and "no installation of Tracehound" in done.stderr
    assert (tmp_path / "root/opt/tracehound/precious").exists()


def test_an_archive_for_another_machine_is_refused(package: Path, tmp_path: Path) -> None:
    (package / "ARCH").write_text("riscv64")
    done = install(package, tmp_path)
    assert done.returncode == 1 and "is for riscv64" in done.stderr


def test_an_unknown_option_is_a_wrong_call(package: Path, tmp_path: Path) -> None:
    assert install(package, tmp_path, "--frobnicate").returncode == 2


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "tracehound.service"
    unit.write_text(UNIT.read_text().replace("/opt/tracehound/bin/tracehound", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if "tracehound" in line] == []


def test_the_unit_has_the_capabilities_of_the_chart() -> None:
    line = re.search(r"^CapabilityBoundingSet=(.*)", UNIT.read_text(), re.M)
    named = re.findall(r'"([A-Z_]{3,})"', CHART.read_text().partition("tracehound.capabilities")[2])
    assert line and set(line[1].split()) == {f"CAP_{name}" for name in named}


def test_the_skeleton_holds_comments_only() -> None:
    assert yaml.safe_load((ROOT / "deploy" / "host" / "tracehound.yaml").read_text()) is None
