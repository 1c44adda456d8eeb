# SPDX-License-Identifier: Apache-2.0
"""Captured ring-buffer bytes for the benchmarks: real records of real processes, replayed at full speed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROCESSES = 4096
_SHELLS = 6
"""Depth of the tree above the short processes: a chain of shells, as a login session has."""


@pytest.fixture(scope="session")
def capture() -> list[bytes]:
    """Records of at least PROCESSES fork+exec+exit of /bin/true with arguments, below a chain of shells."""
    if os.geteuid() != 0:
        pytest.skip("capturing ring-buffer bytes needs root")
    from agent.kernel.sensor import Sensor
    from agent.settings import KernelSettings

    sensor = Sensor(KernelSettings(ring_bytes=64 << 20, environment_bytes=0))
    sensor.open()
    try:
        work = f"i=0; while [ $i -lt {PROCESSES} ]; do /bin/true --flag=$i value; i=$((i+1)); done"
        script = work
        for _ in range(_SHELLS):
            script = f"sh -c {_quote(script)}; true"
        subprocess.run(["sh", "-c", script], check=True, cwd="/")
        records: list[bytes] = []
        while part := sensor.ring.drain():
            records += part
        assert not sensor.losses()
        return records
    finally:
        sensor.close()


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """Where the replayed events are appended."""
    return tmp_path / "log"
