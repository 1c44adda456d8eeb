# SPDX-License-Identifier: Apache-2.0
"""The wire format is described once, in kprobes/include/wire.h: the tables of agent/decode and agent/kernel
agree with what the object's own BTF says."""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import events
from agent.decode import cgroup, chunk, exec, exit, fork, header, task
from agent.kernel import pins, sensor
from agent.kernel.btf import KIND_ARRAY, KIND_ENUM, KIND_STRUCT, KIND_TYPEDEF, Btf
from agent.kernel.libbpf import libbpf
from agent.kernel.objects import BpfObject

WIRE_H = Path(__file__).parents[3] / "kprobes" / "include" / "wire.h"

FORMATS = {
    "record_header": header.HEAD.format,
    "task_facts": "=" + header.FACTS_FORMAT,
    "exec_record": exec.EXEC.format,
    "fork_record": fork.FORK.format,
    "exit_record": exit.EXIT.format,
    "task_record": task.TASK.format,
    "chunk_record": chunk.CHUNK.format + f"{chunk.CHUNK_BYTES}s",
    "cgroup_record": cgroup.CGROUP.format + f"{cgroup.PATH_BYTES}s",
    "config": sensor.CONFIG.format,
}
"""struct format by struct."""


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    found = BpfObject("base.bpf.o")
    yield found.btf()
    found.close()


def size_of(btf: Btf, type_id: int) -> int:
    """Size of any type in bytes, as sizeof."""
    of = btf._type(type_id)
    if of.info >> 24 & 0x1F == KIND_ARRAY:
        element, count = element_of(btf, type_id)
        return size_of(btf, element) * count
    return size_of(btf, of.size_or_type) if of.info >> 24 & 0x1F == KIND_TYPEDEF else int(of.size_or_type)


def element_of(btf: Btf, type_id: int) -> tuple[int, int]:
    """struct btf_array: type and number of an array's elements."""
    address = libbpf().btf__type_by_id(btf._handle, type_id) + 12
    element, _, count = (ctypes.c_uint32 * 3).from_address(address)
    return element, count


def leaves(btf: Btf, name: str, base: int = 0) -> Iterator[tuple[int, int]]:
    """Offset and size of every value of a struct; byte arrays are one value, reserved members none."""
    for member in btf.members(name):
        kind = btf._type(member.type_id).info >> 24 & 0x1F
        at = base + member.offset
        if "reserved" in member.name:
            continue
        if kind == KIND_STRUCT:
            yield from leaves(btf, btf._name(btf._type(member.type_id).name_off), at)
        elif kind == KIND_ARRAY and size_of(btf, element := element_of(btf, member.type_id)[0]) > 1:
            size = size_of(btf, element)
            yield from ((at + size * index, size) for index in range(element_of(btf, member.type_id)[1]))
        else:
            yield at, size_of(btf, member.type_id)


def values_of(form: str) -> Iterator[tuple[int, int]]:
    """Offset and size of every value that a struct format unpacks."""
    at = 0
    for count, code in re.findall(r"(\d*)([a-zA-Z])", form):
        if code in "sx":
            size = struct.calcsize(f"={count}{code}")
            if code == "s":
                yield at, size
            at += size
            continue
        for _ in range(int(count or 1)):
            yield at, struct.calcsize(f"={code}")
            at += struct.calcsize(f"={code}")


@pytest.mark.parametrize("name", FORMATS)
def test_a_table_has_the_size_of_its_struct(btf: Btf, name: str) -> None:
    assert struct.calcsize(FORMATS[name]) == btf.size(name)


@pytest.mark.parametrize("name", FORMATS)
def test_every_value_stands_where_the_struct_has_it(btf: Btf, name: str) -> None:
    assert list(values_of(FORMATS[name])) == list(leaves(btf, name))


def test_no_struct_of_the_wire_format_is_left_out(btf: Btf) -> None:
    sent = {
        btf._name(btf._type(member.type_id).name_off)
        for member in btf.members("wire_format")
        if btf._type(member.type_id).info >> 24 & 0x1F == KIND_STRUCT
    }
    written = set(re.findall(r"^struct (\w+_record) \{", WIRE_H.read_text(), re.MULTILINE))
    assert sent == written
    assert sent <= set(FORMATS)


def test_the_facts_are_as_many_as_the_format_unpacks() -> None:
    assert len(list(values_of(header.FACTS_FORMAT))) == header.FACTS_FIELDS


@pytest.mark.parametrize(
    ("enum", "prefix", "module", "own"),
    [("record_kind", "RECORD_", header, "KIND_"), ("record_flags", "FLAG_", events, "")],
)
def test_numbers_of_an_enumeration_agree(btf: Btf, enum: str, prefix: str, module: object, own: str) -> None:
    assert btf.find(enum, KIND_ENUM)
    for name in re.findall(rf"\b({prefix}\w+) =", WIRE_H.read_text()):
        mine = getattr(module, own + name.removeprefix(prefix), None)
        assert mine in (None, btf.enum_value(enum, name)), name


def test_the_flags_that_the_reader_knows_are_the_kernels(btf: Btf) -> None:
    known = {name for name in vars(events) if name.isupper() and isinstance(getattr(events, name), int)}
    assert {name for name in known if btf.enum_value("record_flags", f"FLAG_{name}") is None} == set()


@pytest.mark.parametrize(
    ("enum", "prefix", "names"),
    [("hook", "HOOK_", sensor.HOOKS), ("loss_cause", "LOSS_", sensor.CAUSES)],
)
def test_counters_are_named_in_order(btf: Btf, enum: str, prefix: str, names: tuple[str, ...]) -> None:
    assert [btf.enum_value(enum, prefix + name.upper()) for name in names] == list(range(len(names)))


def test_the_layout_version_of_the_process_map_is_the_headers() -> None:
    found = re.search(r"#define PROCESS_LAYOUT_VERSION (\d+)", WIRE_H.read_text())
    assert found and int(found[1]) == pins.LAYOUT_VERSION


PROCESS_V3 = "QQIIQQII4Q4Q"


def test_a_changed_process_entry_needs_a_new_layout_version(btf: Btf) -> None:
    assert (pins.LAYOUT_VERSION, list(leaves(btf, "process"))) == (3, list(values_of(PROCESS_V3)))


def test_a_process_entry_begins_with_its_images_stamp(btf: Btf) -> None:
    first = btf.members("process")[0]
    assert (first.name, first.offset, size_of(btf, first.type_id)) == ("image_ktime", 0, 8)
