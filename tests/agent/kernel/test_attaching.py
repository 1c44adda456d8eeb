# SPDX-License-Identifier: Apache-2.0
"""Hanging programs on hooks, and what is said when the kernel does not want it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel.attaching import attach
from agent.kernel.links import program_id, program_on
from agent.kernel.tiny import RETURN_0, TYPES, load_code

pytestmark = pytest.mark.kernel


@pytest.fixture
def tracepoint() -> Iterator[int]:
    fd = load_code(TYPES["tracepoint"], (0, 0), RETURN_0, "th_probe")
    yield fd
    os.close(fd)


def test_the_kernel_tells_which_program_hangs_there(tracepoint: int) -> None:
    attached = attach("tracepoint", "sched/sched_process_exec", tracepoint)
    try:
        assert program_on(attached.link) == program_id(tracepoint)
    finally:
        attached.close()


def test_detaching_closes_everything(tracepoint: int) -> None:
    before = os.listdir("/proc/self/fd")
    attach("tracepoint", "sched/sched_process_exec", tracepoint).close()
    assert os.listdir("/proc/self/fd") == before


def test_a_tracepoint_that_does_not_exist_is_named(tracepoint: int) -> None:
    with pytest.raises(KernelUnsupported, match="sched/no_such_event"):
        attach("tracepoint", "sched/no_such_event", tracepoint)


def test_a_refusal_names_kind_and_target(tracepoint: int) -> None:
    with pytest.raises(KernelRefused, match="raw_tp cannot be attached to sys_enter") as caught:
        attach("raw_tp", "sys_enter", tracepoint)
    assert caught.value.errno
