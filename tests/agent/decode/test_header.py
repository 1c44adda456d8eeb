# SPDX-License-Identifier: Apache-2.0
"""The formats of agent.decode against kprobes/include/wire.h, as the compiler lays it out."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from agent.decode.chunk import CHUNK, CHUNK_BYTES
from agent.decode.exec import EXEC
from agent.decode.exit import EXIT
from agent.decode.fork import FORK
from agent.decode.header import (
    FACTS_FIELDS,
    FACTS_FORMAT,
    HEAD,
    HEAD_FORMAT,
    KIND_EXEC,
    facts_from,
    head_from,
    images_of,
)
from agent.decode.task import TASK
from agent.kernel.btf import Btf
from agent.kernel.objects import BpfObject
from tests.agent.wire import HOST_NS, exec_record, facts, fork_record, head

RECORDS = {
    "record_header": (HEAD, ()),
    "fork_record": (FORK, ("header",)),
    "exit_record": (EXIT, ("header",)),
    "task_record": (TASK, ("header", "facts")),
    "exec_record": (EXEC, ("header", "facts")),
}
NESTED = {"header": 9, "facts": FACTS_FIELDS}
INCLUDE = Path(__file__).resolve().parents[3] / "kprobes" / "include"
SOURCE = """
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned u32; typedef unsigned long long u64;
#include "wire.h"
struct all { struct exec_record exec; struct fork_record fork; struct exit_record exit;
             struct task_record task; struct chunk_record chunk; } all;
"""


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Btf:
    """Types of wire.h. The sensor's object holds those of its maps only."""
    directory = tmp_path_factory.mktemp("wire")
    (directory / "wire.bpf.c").write_text(SOURCE)
    command = ["clang", "-target", "bpf", "-g", "-O2", f"-I{INCLUDE}", "-c", "wire.bpf.c", "-o", "wire.bpf.o"]
    subprocess.run(command, cwd=directory, check=True)
    return BpfObject(str(directory / "wire.bpf.o")).btf()


def offsets(layout: struct.Struct) -> list[int]:
    """Where each value of a format stands."""
    found, codes = [], layout.format.lstrip("=")
    at, count = 0, ""
    for code in codes:
        if code.isdigit():
            count += code
            continue
        size, times = struct.calcsize("=" + code), int(count or 1)
        if code in "xs":
            found += [at] if code == "s" else []
            at += times
        else:
            found += [at + i * size for i in range(times)]
            at += size * times
        count = ""
    return found


@pytest.mark.parametrize("record", RECORDS)
def test_a_format_is_as_long_as_the_objects_own_struct(record: str, btf: Btf) -> None:
    assert RECORDS[record][0].size == btf.size(record)


@pytest.mark.parametrize("record", RECORDS)
def test_every_value_stands_where_the_objects_own_struct_has_its_member(record: str, btf: Btf) -> None:
    layout, nested = RECORDS[record]
    values = offsets(layout)
    for member in btf.members(record):
        if member.name in nested:
            assert member.offset == values[0]
            values = values[NESTED[member.name] :]
        elif "reserved" not in member.name:
            assert member.offset == values.pop(0), member.name
    assert values == []


def test_facts_stand_where_the_objects_own_struct_has_them(btf: Btf) -> None:
    values = offsets(struct.Struct("=" + FACTS_FORMAT))
    for member in btf.members("task_facts"):
        assert member.offset == values[0], member.name
        values = values[10 if member.name == "ns" else 1 :]
    assert values == []


def test_a_chunks_data_begins_behind_its_format(btf: Btf) -> None:
    assert next(m.offset for m in btf.members("chunk_record") if m.name == "data") == CHUNK.size
    assert btf.size("chunk_record") == CHUNK.size + CHUNK_BYTES


def test_the_built_object_has_the_same_exec_record(btf: Btf) -> None:
    built = BpfObject("base.bpf.o")
    places = [(member.name, member.offset) for member in built.btf().members("exec_record")]
    assert places == [(member.name, member.offset) for member in btf.members("exec_record")]


def test_the_head_keeps_every_field_under_its_name() -> None:
    raw = head(1, (2**22 - 1, 2**63), (4, 5), flags=0xFFFFFFFF, at=2**64 - 1, tid=7, nspid=8)
    found = head_from(HEAD.unpack(raw))
    assert found == (1, 0xFFFFFFFF, 2**64 - 1, 2**22 - 1, 7, 2**63, 4, 8, 5)
    assert (found.kind, found.tid, found.parent_tgid, found.nspid, found.parent_ktime) == (1, 7, 4, 8, 5)


def test_facts_keep_every_field_under_its_name() -> None:
    found = facts_from(
        facts(range(1, 9), range(11, 15), securebits=16, auid=17, cgroup_id=18, sid=19, pgid=20)
    )
    assert found.credentials == (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 14, 16)
    assert (found.credentials.euid, found.credentials.fsgid, found.credentials.ambient) == (3, 8, 14)
    assert (found.auid, found.cgroup_id, found.sid, found.pgid) == (17, 18, 19, 20)
    assert found.ns == HOST_NS


@pytest.mark.parametrize("tty", [b"", b"pts0", b"x" * 16])
def test_a_terminals_name_ends_at_its_padding(tty: bytes) -> None:
    assert facts_from(facts(tty=tty.ljust(16, b"\0"))).tty == tty


def test_the_formats_have_no_padding_of_their_own() -> None:
    assert HEAD.size == struct.calcsize("=" + HEAD_FORMAT) == 48


def test_the_images_of_one_kind_are_found_among_records() -> None:
    records = [b"", exec_record((60, 600)), fork_record((70, 700), (60, 600)), bytes([KIND_EXEC])]
    assert list(images_of(records, KIND_EXEC)) == [(60, 600)]
