# SPDX-License-Identifier: Apache-2.0
import ast
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from agent.api.child import LINK_FD, LISTEN_FD, Child

WATCH = """
import os, signal, sys, time
open(sys.argv[1], "w").write(repr([list(map(int, os.listdir("/proc/self/fd"))), os.getcwd() in sys.path,
    list(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))]))
time.sleep(60)
"""


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that notes how it was started, in the service's place."""
    (tmp_path / "sleeper.py").write_text(WATCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "note"


def start(note: Path) -> Child:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = Child({LISTEN_FD: ours.fileno(), LINK_FD: theirs.fileno()}, str(note), "sleeper")
    deadline = time.monotonic() + 10
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child


def test_it_starts_with_an_empty_signal_mask_and_outside_of_the_working_directory(
    sleeper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        child = start(sleeper)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    fds, in_path, mask = ast.literal_eval(sleeper.read_text())
    assert {0, 1, 2, 3, 4} <= set(fds)
    assert not in_path
    assert mask == []
    child.end(0)


def test_it_is_reaped_without_waiting(sleeper: Path) -> None:
    child = start(sleeper)
    assert child.reap() is None
    os.kill(child.pid, signal.SIGTERM)
    os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    assert child.reap() == -signal.SIGTERM
    child.close()


def test_one_that_does_not_end_in_time_is_killed(sleeper: Path) -> None:
    child = start(sleeper)
    began = time.monotonic()
    child.end(0.2)
    assert 0.1 < time.monotonic() - began < 5
    assert not Path(f"/proc/{child.pid}").exists()


def test_an_interpreter_that_is_gone_is_an_error(sleeper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(OSError, match="No such file"):
        Child({}, "{}")


def test_one_that_cannot_be_watched_is_not_left_behind(
    sleeper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(24, "Too many open files", str(pid))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(OSError, match="Too many open files") as caught:
        start(sleeper)
    assert not Path(f"/proc/{caught.value.filename}").exists()
