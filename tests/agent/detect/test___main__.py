# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path


def test_it_is_not_for_people() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "agent.detect", "--help"], capture_output=True, text=True, check=True
    )
    assert "Not for people" in told.stdout and "--state-dir" in told.stdout


def test_without_an_agent_it_ends(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "agent.detect", "--log-dir", tmp_path, "--state-dir", tmp_path / "state"],
        capture_output=True,
        check=False,
    )
    assert ended.returncode != 0
