# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import sys
import threading

import pytest

from agent.aside import InThread, at_once


def test_the_caller_goes_on_with_something_else_until_the_call_has_ended() -> None:
    turns: list[str] = []
    enough = threading.Event()

    def meanwhile() -> None:
        turns.append(threading.current_thread().name)
        if len(turns) == 3:
            enough.set()

    def work(base: int) -> int:
        assert enough.wait(60)
        return base + len(turns)

    assert InThread(meanwhile)(work, 10) >= 13
    assert set(turns) == {threading.current_thread().name}


def test_work_that_only_computes_lets_the_caller_in() -> None:
    turns: list[int] = []

    def work() -> int:
        steps = 0
        while len(turns) < 5:
            steps += 1
        return steps

    assert InThread(lambda: turns.append(1))(work) > 0


def test_what_the_call_raises_is_raised_here() -> None:
    before = sys.getswitchinterval()
    for aside in (at_once, InThread(lambda: None)):
        with pytest.raises(KeyError, match="gone"):
            aside({}.__getitem__, "gone")
    assert sys.getswitchinterval() == before


def test_an_error_of_the_caller_waits_for_the_call_to_end() -> None:
    failed, done = threading.Event(), []

    def meanwhile() -> None:
        failed.set()
        raise OSError("the log is full")

    def work() -> None:
        assert failed.wait(60)
        done.append(1)

    with pytest.raises(OSError, match="full"):
        InThread(meanwhile)(work)
    assert done == [1]
