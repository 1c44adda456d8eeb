# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from agent.errors import AlreadyRunning
from exporters import lock


def test_there_is_one_runner_per_directory(tmp_path: Path) -> None:
    held = lock.take(tmp_path)
    assert lock.is_held(tmp_path)
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
        lock.take(tmp_path)
    os.close(held)
    assert not lock.is_held(tmp_path)
    os.close(lock.take(tmp_path))


def test_a_directory_without_a_lock_is_free(tmp_path: Path) -> None:
    assert not lock.is_held(tmp_path / "absent")
