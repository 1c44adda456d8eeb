# SPDX-License-Identifier: Apache-2.0
"""Asks the readers of kprobes/include/values.h: a program that is run with arguments (BPF_PROG_TEST_RUN)
looks at real objects of this process and of the kernel, through the same functions that hooks use."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from enum import IntEnum
from typing import NamedTuple

from agent.kernel.btf import KIND_STRUCT, KIND_UNION, Btf
from agent.kernel.libbpf import libbpf
from agent.kernel.objects import BpfObject
from agent.policy.values import Source, Step, ValueType
from tests.agent.kernel.support import preallocate

VALUE = struct.Struct("=8BII20I")
"""struct value_shape."""
SENT = struct.Struct("=BBBxI")
"""struct sent_value."""
_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_PROG_TEST_RUN = 10
_KINDS = (KIND_STRUCT, KIND_UNION)
SIZE_INDEX = 3
"""Of every shape here: the value that holds a length where one is asked for, a plain number."""


class Base(IntEnum):
    """enum base: what the raw bytes of a value are made of."""

    RAW = 0
    DESCRIPTOR = 1
    TASK = 2
    FAKE = 3


class Question(IntEnum):
    """enum question."""

    SEND = 0
    FIELD = 1
    ADDRESS = 2
    TEXT = 3
    TOP = 4
    LAST = 5
    OBJECT = 6


class Field(IntEnum):
    """enum filter_field."""

    INTEGER = 0
    TEXT = 1
    SADDR = 2
    DADDR = 3
    SPORT = 4
    DPORT = 5
    PROTOCOL = 6
    FAMILY = 7
    STATE = 8
    FILE_TYPE = 9
    CAP_GAINED = 10
    TGID = 11
    NSPID = 12
    NAMESPACE = 13
    NAMESPACE_CHANGED = 14
    CAP_EFFECTIVE = 15
    CAP_PERMITTED = 16
    CAP_INHERITABLE = 17
    CAP_EFFECTIVE_CHANGED = 18
    UID = 21
    EUID = 22
    IN_HOST_USER_NS = 29


class Asked(NamedTuple):
    """One value of a shape and what it is made of here."""

    type: ValueType
    base: Base = Base.RAW
    steps: tuple[Step, ...] = ()
    size: int = 8
    flags: int = 0
    max_bytes: int = 0
    source: Source = Source.ARGUMENT


class Sent(NamedTuple):
    """What send_value appended."""

    status: int
    content: bytes
    padding: bytes


def member(btf: Btf, path: str) -> int:
    """Offset of `struct.member.member` in bytes; anonymous structs and unions are looked through."""
    name, *parts = path.split(".")
    type_id, offset = btf.find(name, KIND_STRUCT), 0
    for part in parts:
        found = _inside(btf, type_id, part)
        assert found is not None, f"{path}: no {part}"
        offset, type_id = offset + found[0], btf.bare(found[1])
    return offset


def _inside(btf: Btf, type_id: int, name: str) -> tuple[int, int] | None:
    for part in btf.members_of(type_id):
        if part.name == name:
            return part.offset, part.type_id
        inner = btf.bare(part.type_id)
        if not part.name and btf.kind(inner) in _KINDS and (found := _inside(btf, inner, name)):
            return part.offset + found[0], found[1]
    return None


class Asking:
    """The loaded program with one shape."""

    def __init__(self, values: list[Asked], has_cast: bool) -> None:
        self.values = values
        self._object = BpfObject("values.bpf.o")
        self._object.select({"ask_value"})
        preallocate(self._object)
        self._object.set_constants(".rodata.config", bytes(self._size(".rodata.config")))
        self._object.set_constants(".rodata.shape", self._shape(has_cast))
        self._object.load()

    def _size(self, map_name: str) -> int:
        return self._object.map_shape(map_name)["value_size"]

    def _shape(self, has_cast: bool) -> bytes:
        members = {part.name: part.offset for part in self._object.btf().members("shape")}
        shape = bytearray(self._size(".rodata.shape"))
        struct.pack_into("=I", shape, members["has_cast"], has_cast)
        struct.pack_into("=I", shape, members["values"], len(self.values))
        for index, value in enumerate(self.values):
            steps = [number for step in value.steps for number in step]
            steps += [0] * (20 - len(steps))
            of = SIZE_INDEX if value.type in (ValueType.BUFFER, ValueType.IOVEC) else 0xFF
            head = (value.source, value.type, 0, len(value.steps), value.size, of, value.flags, 0)
            VALUE.pack_into(shape, members["value"] + index * VALUE.size, *head, value.max_bytes, 0, *steps)
        return bytes(shape)

    def ask(
        self, question: Question, index: int, raw: int = 0, field: int = 0, other: int = 0, size: int = 0
    ) -> int:
        """The answer as a signed number of 64 bits."""
        base = self.values[index].base
        words = struct.pack("=8Q", index, raw, base, question, field, other, SIZE_INDEX, size)
        context = ctypes.create_string_buffer(words, len(words))
        attr = bytearray(128)
        struct.pack_into("=I36xI4xQ", attr, 0, self.program_fd(), len(words), ctypes.addressof(context))
        place = (ctypes.c_char * 128).from_buffer(attr)
        libc = ctypes.CDLL(None, use_errno=True)
        number = _SYS_BPF[platform.machine()]
        if libc.syscall(number, _PROG_TEST_RUN, ctypes.byref(place), 128) < 0:
            raise OSError(ctypes.get_errno(), "BPF_PROG_TEST_RUN")
        answer = self._object.map("answers").lookup(bytes(4))
        assert answer is not None
        return int.from_bytes(answer, "little", signed=True)

    def _scratch(self, name: str, size: int) -> bytes:
        """A member of the scratch memory of the CPU that this process is bound to."""
        (cpu,) = os.sched_getaffinity(0)
        members = {part.name: part.offset for part in self._object.btf().members("hook_scratch")}
        value = -(-self._size("hook_scratch") // 8) * 8
        total = value * libbpf().libbpf_num_possible_cpus()
        content = self._object.map("hook_scratch").lookup(bytes(4), total)
        assert content is not None
        at = cpu * value + members[name]
        return content[at : at + size]

    def field(self, field: int, index: int = 0, raw: int = 0, other: int = 0) -> int:
        """value_field, unsigned."""
        return self.ask(Question.FIELD, index, raw, field, other) & (1 << 64) - 1

    def text(self, index: int, raw: int = 0, size: int = 0) -> bytes | None:
        """value_text; None when there is none."""
        length = self.ask(Question.TEXT, index, raw, size=size)
        return None if length < 0 else self._scratch("text", 4608)[:length]

    def raw_text(self, index: int, raw: int = 0) -> tuple[int, bytes]:
        """Length, and the whole memory of the text with its padding."""
        return self.ask(Question.TEXT, index, raw), self._scratch("text", 4608)

    def text_flags(self) -> int:
        """Of the text asked for last: 1 cut, 2 unreachable."""
        return int.from_bytes(self._scratch("text_flags", 4), "little")

    def address(self, index: int, raw: int, field: int) -> bytes | None:
        """value_address."""
        found = self.ask(Question.ADDRESS, index, raw, field)
        return None if found < 0 else self._scratch("address", 16)

    def send(self, index: int, raw: int = 0, size: int = 0) -> Sent:
        """What send_value appends for this value."""
        total = self.ask(Question.SEND, index, raw, size=size)
        tail = self._scratch("tail", 26624)
        of, kind, status, length = SENT.unpack_from(tail)
        assert (of, kind, total) == (index, self.values[index].type, SENT.size + -(-length // 8) * 8)
        end = SENT.size + length
        return Sent(status, tail[SENT.size : end], tail[end:total])

    def buckets(self, question: Question, index: int, raw: int = 0) -> tuple[int, int]:
        """path_buckets_top or path_buckets_last of a path-like value."""
        answer = self.ask(question, index, raw) & 0xFFFFFFFF
        return answer & 0xFFFF, answer >> 16

    def fake(self, content: bytes) -> None:
        """Kernel memory with this content, for values with Base.FAKE."""
        self._object.map("fakes").update(bytes(4), content.ljust(4096, b"\0"))

    def map_fd(self, name: str) -> int:
        """A map of the program as a descriptor."""
        return self._object.map(name).fd

    def program_fd(self) -> int:
        """The program as a descriptor."""
        return self._object.program_fd("ask_value")

    def close(self) -> None:
        """Unloads."""
        self._object.close()
