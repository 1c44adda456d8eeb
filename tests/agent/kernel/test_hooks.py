# SPDX-License-Identifier: Apache-2.0
"""Hooks on the running kernel: every call is judged once, whatever changes meanwhile, and nothing stays."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel import hookpins
from agent.kernel.hooks import HookSet, unpin_all
from agent.policy.values import HookKey
from tests.agent.kernel.hooking import (
    ALWAYS,
    CALL,
    FOREVER,
    FUNCTION,
    call,
    content,
    counted,
    hook_set,
    install_where_possible,
)
from tests.agent.kernel.support import full_trampoline, mounted_bpffs

pytestmark = pytest.mark.kernel
VERSIONS = 300 if "VMTEST_EXCHANGE" in os.environ else 1000
"""Of one hook in one test; an emulated CPU takes a second for fifty."""


@pytest.fixture
def hooks() -> Iterator[HookSet]:
    with hook_set() as opened:
        yield opened


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def calls_until_told(pipe: int) -> int:
    """A child that makes calls until the pipe closes, then exits after telling how many."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        made = 0
        os.set_blocking(read, False)
        while True:
            try:
                if not os.read(read, 1):
                    break
            except BlockingIOError:
                call(100)
                made += 100
        os.write(pipe, struct.pack("=Q", made))
        os._exit(0)
    os.close(read)
    return write


def test_every_way_to_attach_sees_each_call_once(hooks: HookSet) -> None:
    taken = install_where_possible(hooks)
    call(7)
    assert {key: counted(hooks, key) for key in taken} == dict.fromkeys(taken, 7)
    assert {"sys_enter", "sys_exit", "tracepoint"} <= {key.attach for key in taken}


def test_each_call_is_judged_once_while_many_versions_change(hooks: HookSet) -> None:
    told, tell = os.pipe()
    hooks.install(CALL, content(None, (1, FOREVER)))
    stop = calls_until_told(tell)
    for epoch in range(1, VERSIONS + 1):
        old, new = (epoch, epoch + 1), (epoch + 1, FOREVER)
        number = 1 + epoch % 100 // 50  # half of them in place, half by another program
        hooks.install(CALL, content(*((new, old) if epoch % 2 else (old, new)), hook=number))
        hooks.flip(epoch + 1)
        hooks.install(CALL, content(*((new, None) if epoch % 2 else (None, new)), hook=number))
    os.close(stop)
    (made,) = struct.unpack("=Q", os.read(told, 8))
    assert made > VERSIONS
    judged = counted(
        hooks, CALL
    )  # kernels that preempt inside programs skip others meanwhile, and count them
    assert judged <= made <= judged + sum(hooks.missed().values())


def test_selectors_of_a_later_epoch_wait_for_it_on_all_hooks(hooks: HookSet) -> None:
    other = HookKey("sys_exit", "145")
    for key in (CALL, other):
        hooks.install(key, content((2, FOREVER)))
    call(3)
    assert (counted(hooks, CALL), counted(hooks, other)) == (0, 0)
    hooks.flip(2)
    call(3)
    assert (counted(hooks, CALL), counted(hooks, other)) == (3, 3)


def test_a_change_that_keeps_the_shape_keeps_the_program(hooks: HookSet) -> None:
    hooks.install(CALL, ALWAYS)
    first = hooks.state()[CALL].program_id
    hooks.install(CALL, content((0, FOREVER), (5, FOREVER)))
    assert hooks.state()[CALL].program_id == first
    hooks.install(CALL, content((0, FOREVER), integers=1000))
    assert hooks.state()[CALL].program_id != first


def test_counts_go_on_over_versions(hooks: HookSet) -> None:
    for version in range(1, 4):
        hooks.install(CALL, content((0, FOREVER), hook=version))
        call(2)
    assert hooks.counts(CALL)[0][0] == 6


def test_a_program_that_the_verifier_refuses_leaves_what_ran(hooks: HookSet) -> None:
    hooks.install(CALL, ALWAYS)
    with pytest.raises(KernelRefused, match="invalid mem access") as caught:
        hooks.install(CALL, content((0, FOREVER), values=99))
    assert "explain" in caught.value.hint
    call(2)
    assert counted(hooks, CALL) == 2


def test_a_refused_first_program_leaves_nothing(hooks: HookSet) -> None:
    hooks.install(CALL, ALWAYS)
    hooks.remove(CALL)
    before = descriptors()
    with pytest.raises(KernelRefused):
        hooks.install(CALL, content((0, FOREVER), values=99))
    assert (hooks.keys(), descriptors()) == ([], before)


def test_a_function_that_does_not_exist_is_named(hooks: HookSet) -> None:
    before = hooks.keys()
    with pytest.raises((KernelUnsupported, KernelRefused), match=r"no_such_function|kprobes"):
        hooks.install(HookKey("kprobe", "no_such_function"), ALWAYS)
    with pytest.raises(KernelUnsupported, match="no_such_function"):
        hooks.install(HookKey("fentry", "no_such_function"), ALWAYS)
    assert hooks.keys() == before


def test_a_full_trampoline_is_told_and_leaves_nothing(hooks: HookSet) -> None:
    key = HookKey("fentry", FUNCTION)
    with full_trampoline(FUNCTION) as held, pytest.raises(KernelRefused) as caught:
        before = descriptors()
        hooks.install(key, ALWAYS)
    if held:  # this kernel takes fentry at all
        assert "other programs hold all places" in caught.value.message
        assert "kprobe" in caught.value.hint
        assert descriptors() <= before + 1 - 2 * held + 2  # types, storage of threads; theirs are closed
    assert hooks.keys() == []


@pytest.mark.spread
def test_two_hundred_additions_leave_no_descriptor(hooks: HookSet) -> None:
    hooks.install(CALL, ALWAYS)
    hooks.remove(CALL)
    before = descriptors()
    for version in range(200):
        hooks.install(CALL, content((0, FOREVER), hook=version))
        hooks.remove(CALL)
        hooks.finish()
    assert descriptors() == before


def test_versions_that_were_replaced_are_freed(hooks: HookSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.kernel.hooks._SETTLED_S", 0.0)
    hooks.install(CALL, ALWAYS)
    hooks.install(CALL, content((0, FOREVER), hook=2))
    hooks.finish()
    before = descriptors()
    for version in range(20):
        hooks.install(CALL, content((0, FOREVER), hook=version))
    hooks.finish()
    assert descriptors() == before


def test_calls_of_the_32_bit_abi_have_a_slot_of_their_own(hooks: HookSet) -> None:
    compat = HookKey("sys_enter", "32/157")  # sched_getscheduler of i386
    hooks.install(compat, ALWAYS)
    hooks.install(CALL, ALWAYS)
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("53 b89d000000 31db cd80 5b c3"))  # int 0x80 with eax 157, ebx 0
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    for _ in range(3):
        ctypes.CFUNCTYPE(ctypes.c_int)(start)()
    call(2)
    assert (counted(hooks, compat), counted(hooks, CALL)) == (3, 2)


def test_a_pinned_hook_runs_on_and_is_taken_over_without_a_gap(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        with hook_set(directory) as first:
            first.install(CALL, ALWAYS)
            state = first.state()[CALL]
        with hook_set(directory) as second:
            second.install(CALL, ALWAYS)
            call(4)
            assert counted(second, CALL) == 4
            assert second.state()[CALL].is_pinned
            assert second.drop_unclaimed() == []
            second.remove(CALL)
        assert state.survives_restart
        assert unpin_all(directory) == []


def test_a_dispatcher_of_another_type_is_replaced(tmp_path: Path) -> None:
    key = HookKey("tracepoint", "syscalls/sys_enter_sched_getscheduler")
    with mounted_bpffs(tmp_path / "bpf") as directory:
        with hook_set(directory) as first:
            first.install(HookKey("raw_tp", "sys_enter"), ALWAYS)
        place = hookpins.place_of(directory, *key)
        place.parent.mkdir()
        os.rename(directory / "hooks" / "raw_tp" / "sys_enter", place)
        with hook_set(directory) as second:
            second.install(key, ALWAYS)
            call(3)
            assert counted(second, key) == 3
        unpin_all(directory)


def test_what_no_policy_claims_after_a_restart_is_detached(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        with hook_set(directory) as first:
            first.install(CALL, ALWAYS)
        with hook_set(directory) as second:
            assert second.drop_unclaimed() == ["sys_enter all"]
        assert not (directory / "hooks").exists()


def test_everything_pinned_can_be_detached_without_an_agent(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        with hook_set(directory) as hooks:
            taken = install_where_possible(hooks)
            pinned = {key for key, state in hooks.state().items() if state.is_pinned}
        assert {line.split()[0] for line in unpin_all(directory)} == {key.attach for key in pinned}
        assert not (directory / "hooks").exists()
    assert CALL in taken


def test_the_state_tells_what_the_kernel_knows(hooks: HookSet) -> None:
    hooks.install(CALL, ALWAYS)
    state = hooks.state()[CALL]
    assert state.is_attached
    assert state.instructions > 50
    assert state.memory_bytes > 4096


def test_closing_detaches(hooks: HookSet) -> None:
    hooks.install(CALL, ALWAYS)
    hooks.close()
    assert hooks.keys() == []
    with pytest.raises(KeyError):
        hooks.counts(CALL)
