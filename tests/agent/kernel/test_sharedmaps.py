# SPDX-License-Identifier: Apache-2.0
"""Maps that all hooks share."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from agent.kernel.links import fd_facts
from agent.kernel.sharedmaps import FULL, SharedMaps

pytestmark = pytest.mark.kernel

RATE_LIMITS = 1 << 6
"""enum hook_flags"""


@pytest.fixture
def shared() -> Iterator[SharedMaps]:
    opened = SharedMaps({})
    yield opened
    opened.close()


def entries(shared: SharedMaps, name: str) -> int:
    return int(fd_facts(shared.descriptors()[name])["max_entries"])


def test_what_no_policy_uses_has_one_entry(shared: SharedMaps) -> None:
    assert {name: entries(shared, name) for name in FULL} == dict.fromkeys(FULL, 1)
    assert entries(shared, "policies") == 512


@pytest.mark.parametrize(("preallocate", "flags"), [(False, "0x1"), (True, "0x0")])
def test_what_a_kprobe_sees_is_never_allocated_later_where_that_is_not_safe(
    preallocate: bool, flags: str
) -> None:
    opened = SharedMaps({}, preallocate=lambda: preallocate)
    assert fd_facts(opened.descriptors()["exec_states"])["map_flags"] == "0x0"
    opened.grow(0, {"exec_states": 2})
    assert fd_facts(opened.descriptors()["exec_states"])["map_flags"] == flags
    opened.close()


def test_a_map_grows_once_for_the_first_that_needs_it(shared: SharedMaps) -> None:
    assert shared.grow(RATE_LIMITS, {}) == {"rate_limits"}
    assert entries(shared, "rate_limits") == FULL["rate_limits"]
    assert shared.grow(RATE_LIMITS, {}) == set()


def test_sizes_may_ask_for_a_map_by_its_name(shared: SharedMaps) -> None:
    assert shared.grow(0, {"enforcements": 1, "integers": 9}) == set()
    assert shared.grow(0, {"enforcements": 10}) == {"enforcements"}


def test_the_epoch_is_one_word(shared: SharedMaps) -> None:
    shared.flip(77)
    assert (shared.map("epoch").lookup(bytes(4)) or b"")[:8] == struct.pack("=Q", 77)


def test_closing_gives_back_what_is_ours() -> None:
    before = os.listdir("/proc/self/fd")
    opened = SharedMaps({})
    assert opened.memory() > 0
    opened.grow(RATE_LIMITS, {})
    opened.close()
    assert os.listdir("/proc/self/fd") == before
