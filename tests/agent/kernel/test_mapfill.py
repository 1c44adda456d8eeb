# SPDX-License-Identifier: Apache-2.0
"""Maps of a hook: how large they are made, and which changes readers may see half done."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from agent.errors import KernelRefused
from agent.kernel import mapfill
from agent.kernel.mapfill import change, changes_in_place, make_constants, make_map, sized, tables_form
from agent.kernel.objects import OBJECTS, BpfMap, BpfObject
from agent.kernel.template import MapForm

NUMBERS = MapForm(mapfill.HASH, 8, 8, 1, 1)
ROWS = MapForm(mapfill.ARRAY, 4, 8, 4, 0)


def u64(number: int) -> bytes:
    return struct.pack("=Q", number)


@pytest.fixture
def maps() -> Iterator[dict[str, BpfMap]]:
    made = {"numbers": make_map("numbers", NUMBERS._replace(entries=2)), "rows": make_map("rows", ROWS)}
    yield made
    for one in made.values():
        os.close(one.fd)


FORMS = {"numbers": NUMBERS, "rows": ROWS}


def test_an_unused_map_stays_as_small_as_it_is() -> None:
    assert sized(NUMBERS, 0, preallocate=False) == NUMBERS


def test_a_map_has_room_for_as_much_again() -> None:
    assert sized(NUMBERS, 100, preallocate=False).entries >= 200
    assert sized(MapForm(mapfill.ARRAY, 4, 8, 256, 0), 3, preallocate=False).entries == 256


def test_old_kernels_get_hashes_with_memory_of_their_own() -> None:
    assert sized(NUMBERS, 3, preallocate=True).flags == 0
    assert sized(NUMBERS._replace(type=11), 3, preallocate=True).flags == 1  # LPM tries have no other way


@pytest.mark.kernel
def test_a_change_writes_and_removes_what_differs(maps: dict[str, BpfMap]) -> None:
    before = {"numbers": {u64(1): u64(10), u64(2): u64(20)}, "rows": {bytes(4): u64(5)}}
    change(maps, FORMS, {}, before)
    change(maps, FORMS, before, {"numbers": {u64(1): u64(11)}, "rows": {}})
    assert [maps["numbers"].lookup(u64(key)) for key in (1, 2)] == [u64(11), None]
    assert maps["rows"].lookup(bytes(4)) == u64(0)


@pytest.mark.kernel
def test_a_map_that_is_full_is_told(maps: dict[str, BpfMap]) -> None:
    with pytest.raises(KernelRefused):
        change(maps, FORMS, {}, {"numbers": {u64(key): u64(0) for key in range(64)}})


@pytest.mark.kernel
def test_constants_cannot_be_changed_any_more() -> None:
    made = make_constants(".rodata.shape", u64(7))
    try:
        with pytest.raises(KernelRefused):
            made.update(bytes(4), u64(8))
        assert made.lookup(bytes(4)) == u64(7)
    finally:
        os.close(made.fd)


def test_sets_change_in_place_and_the_order_of_ranges_does_not() -> None:
    low = {bytes(4): u64(5) + b"a"}
    assert changes_in_place({"ranges": low}, {"ranges": {bytes(4): u64(5) + b"b"}})
    assert not changes_in_place({"ranges": low}, {"ranges": {bytes(4): u64(6) + b"a"}})
    assert not changes_in_place({"ranges": low}, {"ranges": {**low, b"\1\0\0\0": u64(9) + b"a"}})


def test_ranges_that_go_to_another_filter_are_not_changed_in_place() -> None:
    def tables(start: int) -> dict[bytes, bytes]:
        return {bytes(4): bytes(mapfill.FILTERS_AT) + struct.pack("=II", start, 1) + bytes(2000)}

    assert changes_in_place({"tables": tables(1)}, {"tables": tables(1)})
    assert not changes_in_place({"tables": tables(1)}, {"tables": tables(2)})


def test_the_place_of_filter_tables_is_that_of_the_programs() -> None:
    opened = BpfObject(str(OBJECTS / "policies.bpf.o"))
    try:
        members = {member.name: member.offset for member in opened.btf().members("tables")}
        assert members["filter"] == mapfill.FILTERS_AT
        assert opened.btf().size("filter_table") == mapfill.FILTER_BYTES
        assert members["path"] - members["filter"] == mapfill.FILTERS * mapfill.FILTER_BYTES
    finally:
        opened.close()


def test_tables_end_behind_the_paths_that_a_shape_uses() -> None:
    form = MapForm(mapfill.ARRAY, 4, 1 << 17, 1, 0)
    none, second = bytes(36) + b"\xff\xff", struct.pack("=2IB", 0, 0, 2).ljust(36, b"\0") + b"\0\0"
    assert tables_form(form, none).value_size == 9280
    assert tables_form(form, second).value_size == 9280 + 32768 + 2 * 8192
