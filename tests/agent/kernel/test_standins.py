# SPDX-License-Identifier: Apache-2.0
"""A second dispatcher judges what the first one was not called for, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import TracehoundError
from agent.kernel import standins
from agent.kernel.btf import Btf
from agent.kernel.hooks import HookSet
from agent.kernel.places import Place
from agent.policy.values import HookKey
from tests.agent.kernel.hooking import ALWAYS, CALL, KEYS, call, counted, hook_set
from tests.agent.kernel.support import mounted_bpffs

pytestmark = pytest.mark.kernel
TWO = tuple(key for key in KEYS if key.attach in standins.DOUBLED)


@contextmanager
def doubled(pin_dir: Path | None = None) -> Iterator[HookSet]:
    """Hooks that have stand-ins wherever the kernel has storage for threads (since v5.11)."""
    with hook_set(pin_dir) as hooks, Btf.of_kernel() as btf:
        hooks._stand_ins._needed = btf.has_function("bpf_task_storage_get")
        yield hooks


def place_on(hooks: HookSet, key: HookKey) -> Place | None:
    """Installed, and with two dispatchers; None where this kernel has not got the one or the other."""
    try:
        hooks.install(key, ALWAYS)
    except TracehoundError:
        return None
    (place,) = hooks._places.values()
    return place if len(place.dispatchers) == 2 else None


@pytest.mark.parametrize("key", TWO, ids=lambda key: key.attach)
def test_two_dispatchers_judge_a_call_once(key: HookKey) -> None:
    with doubled() as hooks:
        if place := place_on(hooks, key):
            call(5)
            assert (counted(hooks, key), stood_in(place), place.is_attached()) == (5, 0, True)


@pytest.mark.parametrize("key", TWO, ids=lambda key: key.attach)
def test_calls_that_the_first_is_not_called_for_are_judged_by_the_second(key: HookKey) -> None:
    with doubled() as hooks:
        if place := place_on(hooks, key):
            call(1)
            place.dispatchers[0].detach()
            call(4)
            assert (counted(hooks, key), place.is_attached()) == (5, False)
            assert stood_in(place) >= 4  # one place serves all system calls
            assert hooks.renew(key)
            call(2)
            assert (counted(hooks, key), hooks.state()[key].is_attached) == (7, True)


def test_both_are_taken_over_from_an_agent_before(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        with doubled(directory) as first:
            before = place_on(first, CALL)
            numbers = [one.number for one in before.dispatchers] if before else []
        with doubled(directory) as second:
            second.install(CALL, ALWAYS)
            (place,) = second._places.values()
            call(3)
            assert (counted(second, CALL), place.is_attached()) == (3, True)
            assert not before or [one.number for one in place.dispatchers] == numbers
            second.remove(CALL)
        assert not list(directory.glob("hooks/*/*"))


def test_two_are_not_taken_over_where_one_is_enough_now(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        with doubled(directory) as first:
            place_on(first, CALL)
        with hook_set(directory) as second:
            second._stand_ins._needed = False
            second.install(CALL, ALWAYS)
            (place,) = second._places.values()
            call(3)
            assert (counted(second, CALL), len(place.dispatchers)) == (3, 1)
            assert not list(directory.glob("hooks/*/*/second"))
            second.remove(CALL)


def test_where_there_is_room_for_one_only_it_hangs_alone() -> None:
    with doubled() as hooks:
        place = place_on(hooks, CALL)
        if place:
            for one in place.dispatchers:
                one.detach()
            os.dup2(
                os.open(os.devnull, os.O_RDONLY), place.dispatchers[1].program
            )  # which cannot be attached
            place.attach("raw_tp", "sys_enter")
            call(3)
            assert (counted(hooks, CALL), len(place.dispatchers)) == (3, 1)


def test_what_is_never_skipped_and_what_denies_hangs_alone() -> None:
    with doubled() as hooks, Btf.of_kernel() as btf:
        assert hooks._stand_ins.mark("kprobe", btf) is None
        assert hooks._stand_ins.mark("lsm", btf) is None
        assert hooks._stand_ins.mark("fmod_ret", btf) is None


def stood_in(place: Place) -> int:
    assert place.stood_in is not None
    return int.from_bytes(place.stood_in.lookup(bytes(4)) or b"", "little")
