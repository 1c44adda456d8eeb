# SPDX-License-Identifier: Apache-2.0
"""What leaves its hook does so at once while the change has patience, then beside the agent's work."""

from __future__ import annotations

import threading

import pytest

from agent.kernel.leaving import Leaving
from tests.agent.kernel.hooking import ALWAYS, CALL, call, counted, hook_set, install_where_possible


class Slow:
    """Leaves when it is let."""

    def __init__(self) -> None:
        self.may_leave, self.left_in = threading.Event(), ""

    def close(self) -> None:
        assert self.may_leave.wait(30)
        self.left_in = threading.current_thread().name


def test_a_change_waits_for_what_leaves() -> None:
    leaving, one = Leaving(), Slow()
    one.may_leave.set()
    leaving.close(one)
    assert one.left_in == threading.current_thread().name


def test_a_change_without_patience_leaves_them_to_a_thread() -> None:
    leaving, several = Leaving(patience_s=0), [Slow(), Slow(), Slow()]
    for one in several:
        leaving.close(one)
    assert not any(one.left_in for one in several)
    for one in several:
        one.may_leave.set()
    leaving.wait()
    assert {one.left_in for one in several} == {"leaving"}


def test_the_next_change_has_patience_again() -> None:
    leaving, one = Leaving(patience_s=30), Slow()
    leaving._left_s = 0
    leaving.finish()
    one.may_leave.set()
    leaving.close(one)
    assert one.left_in == threading.current_thread().name


@pytest.mark.kernel
def test_a_removed_hook_judges_nothing_while_it_leaves() -> None:
    with hook_set() as hooks:
        hooks._leaving = Leaving(patience_s=0)
        taken = install_where_possible(hooks)
        for key in taken:
            hooks.remove(key)
        assert not hooks.keys()
        hooks.install(CALL, ALWAYS)
        call(3)
        assert counted(hooks, CALL) == 3
