# SPDX-License-Identifier: Apache-2.0
"""This process and its real children, in the agent's place."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.metrics.processes import families
from tests.agent.metrics.support import values


@contextmanager
def child(*arguments: str) -> Iterator[None]:
    """One whose command line ends so."""
    code = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield


@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        (("-m", "agent.api.server"), "api"),
        (("-m", "agent.detect"), "detect"),
        (("-m", "exporters", "--exporter", "/etc/x/siem.yaml", "--child"), "exporter siem"),
        (("-m", "somebody"), "other"),
    ],
)
def test_children_are_called_by_what_they_do(arguments: tuple[str, ...], role: str) -> None:
    with child(*arguments):
        memory = values(families(os.getpid()), "process_resident_memory_bytes")
    assert memory[role] > 1 << 20


def test_the_agent_itself_has_memory_and_time() -> None:
    found = list(families(os.getpid()))
    status = Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]
    assert values(found, "process_resident_memory_bytes")["agent"] == pytest.approx(
        int(status) * 1024, rel=0.2
    )
    assert values(found, "process_cpu_seconds")["agent"] > 0


def test_one_that_is_gone_has_none(tmp_path: Path) -> None:
    assert not [family for family in families(1, tmp_path) if family.samples]
