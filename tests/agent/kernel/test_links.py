# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about programs and links."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel import tiny
from agent.kernel.btf import Btf
from agent.kernel.links import (
    attached_program_ids,
    fd_facts,
    missed_by_both,
    program_id,
    program_info,
    program_on,
)
from tests.agent.kernel.support import all_ids, in_child, keep_capabilities, wait_until

pytestmark = pytest.mark.kernel


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Closes what the test opened."""
    with ExitStack() as stack:
        yield stack


def program_of(kind: str, hook: str) -> int:
    with Btf.of_kernel() as btf:
        return tiny.load(kind, hook, btf)


def closing(held: ExitStack, fd: int) -> int:
    held.callback(os.close, fd)
    return fd


def test_a_program_has_a_number_that_the_kernel_lists(held: ExitStack) -> None:
    fd = closing(held, program_of("raw_tp", "sched_process_exec"))
    assert program_id(fd) in all_ids("prog")
    assert program_info(fd).run_count == 0


def test_what_is_no_program_is_refused() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(KernelRefused, match="program info"):
        program_info(file.fileno())


def test_an_attached_program_is_found_by_its_link(held: ExitStack) -> None:
    fd = closing(held, program_of("tp_btf", "sched_process_exec"))
    assert program_id(fd) not in attached_program_ids()
    link = closing(held, tiny.attach("tp_btf", "sched_process_exec", fd))
    assert program_on(link) == program_id(fd)
    assert program_id(fd) in attached_program_ids()


def test_a_closed_link_holds_nothing(held: ExitStack) -> None:
    fd = closing(held, program_of("raw_tp", "sched_process_exec"))
    link = tiny.attach("raw_tp", "sched_process_exec", fd)
    os.close(link)
    assert program_on(link) == 0
    assert wait_until(lambda: program_id(fd) not in attached_program_ids())


def test_a_link_can_be_asked_without_cap_sys_admin(held: ExitStack) -> None:
    fd = closing(held, program_of("raw_tp", "sched_process_exec"))
    link = closing(held, tiny.attach("raw_tp", "sched_process_exec", fd))
    seen = in_child(lambda: keep_capabilities("bpf", "perfmon"), lambda: program_on(link))
    assert seen == program_id(fd)


def test_a_program_on_a_perf_event_is_found(held: ExitStack) -> None:
    fd = closing(held, program_of("tracepoint", "sched:sched_process_exec"))
    event = closing(held, tiny.attach("tracepoint", "sched:sched_process_exec", fd))
    assert program_on(event) == program_id(fd)


def test_a_kprobe_is_found_where_there_are_kprobes(held: ExitStack) -> None:
    fd = closing(held, program_of("kprobe", "security_task_getscheduler"))
    try:
        event = closing(held, tiny.attach("kprobe", "security_task_getscheduler", fd))
    except KernelUnsupported as error:
        assert "CONFIG_KPROBES" in error.message  # this kernel has none
        return
    assert program_on(event) == program_id(fd)


def test_an_ordinary_file_holds_no_program() -> None:
    with tempfile.TemporaryFile() as file:
        assert program_on(file.fileno()) == 0
        assert fd_facts(file.fileno())["pos"] == "0"


def test_a_file_descriptor_that_is_not_open_has_no_facts() -> None:
    assert fd_facts(1 << 20) == {}


@pytest.mark.parametrize(
    ("skipped", "stood_in", "skipped_again", "most"),
    [(0, 0, 0, 0), (5, 5, 3, 0), (5, 4, 3, 1), (9, 1, 3, 3), (5, 7, 3, 0)],
)
def test_only_what_neither_program_saw_is_lost(
    skipped: int, stood_in: int, skipped_again: int, most: int
) -> None:
    assert missed_by_both(skipped, stood_in, skipped_again) == most
