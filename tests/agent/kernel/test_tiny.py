# SPDX-License-Identifier: Apache-2.0
"""The smallest program of every kind."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel import tiny
from agent.kernel.btf import Btf
from agent.kernel.links import attached_program_ids, program_id
from tests.agent.kernel.support import all_ids, wait_until

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


def test_it_is_attached_while_the_context_lasts_and_gone_afterwards(btf: Btf) -> None:
    before = attached_program_ids()
    with tiny.attached("tp_btf", "sched_process_exec", btf):
        assert len(attached_program_ids() - before) >= 1
    program = tiny.load("tp_btf", "sched_process_exec", btf)
    number = program_id(program)
    os.close(program)
    assert wait_until(lambda: number not in all_ids("prog"))


def test_a_refused_program_shows_the_verifiers_words(btf: Btf) -> None:
    without_result = struct.pack("=BBhi", 0x95, 0, 0, 0)  # exit, with no value in r0
    with pytest.raises(KernelRefused) as caught:
        tiny.load("raw_tp", "sched_process_exec", btf, without_result)
    assert "R0 !read_ok" in caught.value.log_tail


def test_a_hook_that_does_not_exist_is_named(btf: Btf) -> None:
    with pytest.raises(KernelUnsupported, match="btf_trace_sched_process_teleport"):
        tiny.load("tp_btf", "sched_process_teleport", btf)


def test_a_raw_tracepoint_that_does_not_exist_is_refused(btf: Btf) -> None:
    program = tiny.load("raw_tp", "sched_process_exec", btf)
    try:
        with pytest.raises(KernelRefused, match="raw_tp on sched_process_teleport refused"):
            tiny.attach("raw_tp", "sched_process_teleport", program)
    finally:
        os.close(program)


def test_a_tracepoint_that_does_not_exist_is_named(btf: Btf) -> None:
    program = tiny.load("tracepoint", "sched:sched_process_exec", btf)
    try:
        with pytest.raises(KernelUnsupported, match="no tracepoint sched:teleport"):
            tiny.attach("tracepoint", "sched:teleport", program)
    finally:
        os.close(program)


@pytest.mark.parametrize(("helper", "known"), [(1, True), (5, True), (1 << 20, False)])
def test_helpers_exist_or_do_not(btf: Btf, helper: int, known: bool) -> None:
    assert tiny.knows_helper("raw_tp", "sched_process_exec", btf, helper) is known
