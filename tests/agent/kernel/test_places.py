# SPDX-License-Identifier: Apache-2.0
"""Where hooks hang."""

from __future__ import annotations

import os

import pytest

from agent.errors import KernelRefused
from agent.kernel.mapfill import PROGRAM_ARRAY, make_map
from agent.kernel.places import Place, place_key, slot_of, target_of
from agent.kernel.template import MapForm
from agent.policy.values import HookKey


def test_system_calls_share_a_place_and_have_slots_of_their_own() -> None:
    native, compat = HookKey("sys_enter", "257"), HookKey("sys_enter", "32/295")
    assert place_key(native) == place_key(compat) == ("sys_enter", "")
    assert (slot_of(native), slot_of(compat)) == (257, 1024 + 295)
    assert target_of(compat) == "sys_enter"


def test_other_hooks_have_a_place_each() -> None:
    key = HookKey("fentry", "security_file_open")
    assert (place_key(key), slot_of(key), target_of(key)) == (tuple(key), 0, key.target)


@pytest.mark.kernel
def test_what_is_no_program_cannot_be_jumped_to() -> None:
    place = Place(make_map("th_dispatch", MapForm(PROGRAM_ARRAY, 4, 4, 1, 0)).fd, 1)
    try:
        with pytest.raises(KernelRefused, match="cannot jump"):
            place.put(0, place.array)
    finally:
        place.close()
    assert not os.path.exists(f"/proc/self/fd/{place.array}")
