# SPDX-License-Identifier: Apache-2.0
"""Templates: a program as libbpf relocates it, with its maps left open."""

from __future__ import annotations

import os
import struct

import pytest

from agent.errors import KernelRefused
from agent.kernel.objects import BpfObject
from agent.kernel.template import capture
from tests.agent.kernel.hooking import counting_object
from tests.agent.kernel.support import preallocate

pytestmark = pytest.mark.kernel


def test_it_knows_type_maps_and_functions() -> None:
    taken = capture(counting_object(), "hook_lsm", {})
    try:
        assert (taken.type, taken.attach) == (29, 27)  # BPF_PROG_TYPE_LSM, BPF_LSM_MAC
        assert {name for _, name in taken.places} >= {"epoch", "selectors", ".rodata.shape"}
        assert taken.maps["selectors"].entries == 256
        assert len(taken.function_info) % taken.function_info_size == 0
        assert taken.types_fd > 0
    finally:
        taken.close()


def test_maps_are_bound_where_their_descriptors_stand() -> None:
    taken = capture(counting_object(), "hook_raw_tp", {})
    numbers = {name: 1000 + at for at, name in enumerate(taken.maps)}
    code = taken.bound(numbers)
    taken.close()
    bound = {struct.unpack_from("=i", code, at)[0] for at, _ in taken.places}
    assert bound == set(numbers.values())
    assert len(code) == len(taken.code)


def test_capturing_leaves_nothing_open() -> None:
    capture(counting_object(), "hook_raw_tp", {}).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        capture(counting_object(), "hook_raw_tp", {}).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_objects_load_as_always_afterwards() -> None:
    capture(counting_object(), "hook_raw_tp", {}).close()
    opened = BpfObject(counting_object())
    try:
        opened.select({"hook_raw_tp"})
        preallocate(opened)
        opened.load()
        assert opened.program_fd("hook_raw_tp") > 0
    finally:
        opened.close()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(KernelRefused, match="no program hook_none"):
        capture(counting_object(), "hook_none", {})
