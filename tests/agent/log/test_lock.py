# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import AlreadyRunning
from agent.log.lock import DirectoryLock

HOLD = """
import sys
from pathlib import Path
from agent.log.lock import DirectoryLock
lock = DirectoryLock(Path(sys.argv[1]))
lock.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[DirectoryLock]:
    lock = DirectoryLock(tmp_path)
    yield lock
    lock.close()


def test_the_lock_names_its_holder(tmp_path: Path, lock: DirectoryLock) -> None:
    lock.take()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_second_writer_is_told_who_holds_it_and_what_to_do(tmp_path: Path, lock: DirectoryLock) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}") as caught:
            lock.take()
        assert "log.dir" in caught.value.hint
        holder.kill()
    lock.take()  # a dead holder holds nothing


def test_taking_it_again_costs_nothing(lock: DirectoryLock) -> None:
    lock.take()
    lock.take()


def test_a_lock_file_that_was_removed_is_made_again(tmp_path: Path, lock: DirectoryLock) -> None:
    lock.take()
    (tmp_path / "lock").unlink()
    lock.take()
    with pytest.raises(AlreadyRunning):
        DirectoryLock(tmp_path).take()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path, lock: DirectoryLock) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        lock.take()
    assert not (tmp_path / "elsewhere").exists()
