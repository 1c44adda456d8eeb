# SPDX-License-Identifier: Apache-2.0
"""A program with its constants put in: what a hook's shape rules out is left away before the kernel sees it.

The verifier folds constants, too, and drops dead branches. But it charges for all instructions that it is
given, reads the constants at every call, and looks at functions that nothing calls. Here constants are
followed through the registers of every function from its begin (Wegman and Zadeck, "Constant propagation with
conditional branches", 1991); what is not reached is dropped, and then what nobody reads. The verifier judges
what is left as it judges anything.

Instructions: Linux Documentation/bpf/standardization/instruction-set.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

_INSTRUCTION = struct.Struct("<BBhi")
_WIDE, _CALL, _EXIT, _JUMP = 0x18, 0x85, 0x95, 0x05
_LD, _LDX, _ST, _STX, _ALU32, _JMP, _JMP32, _ALU64 = range(8)
"""Classes: the lower three bits."""
_SIZES = {0x61: 4, 0x69: 2, 0x71: 1, 0x79: 8}
"""Loads from memory, and how many bytes."""
_MAP_VALUE, _LOCAL_CALL = 2, 1
"""Source registers that tell what a constant or a call means (BPF_PSEUDO_* of linux/bpf.h)."""
_64 = (1 << 64) - 1
_32 = (1 << 32) - 1
_ARGUMENTS, _CALL_LOSES = 0b111110, 0b111111
"""Registers r1 to r5, and r0 to r5."""

_Row = tuple[int, int, int, int]
"""Operation, registers, offset, number."""
Known = int | tuple[int, int] | None
"""Of a register: a number, the place of a constant (descriptor of its section, offset), or nothing."""


class Folded(NamedTuple):
    """What is left."""

    code: bytes
    places: tuple[tuple[int, str], ...]
    """As Template.places."""
    function_info: bytes


def fold(
    code: bytes,
    places: tuple[tuple[int, str], ...],
    function_info: bytes,
    info_size: int,
    constants: Mapping[str, bytes],
) -> Folded:
    """`constants`: content of read-only sections by name, at the names in `places`. Records of
    `function_info` begin with the instruction at which a function begins."""
    sections = [constants.get(name, b"") for _, name in places]
    program = _Program(code, {at - 4: number for number, (at, _) in enumerate(places)}, sections)
    program.follow()
    program.drop_unread()
    moved = program.emit()
    kept = tuple((moved.at[at // 8] * 8 + 4, name) for at, name in places if at // 8 in moved.at)
    return Folded(moved.code, kept, _moved_info(function_info, info_size, moved.begins))


def _moved_info(info: bytes, size: int, begins: Mapping[int, int]) -> bytes:
    if not info:
        return info
    rows = []
    for start in range(0, len(info), size):
        (begin,) = struct.unpack_from("=I", info, start)
        if begin in begins:
            rows.append(struct.pack("=I", begins[begin]) + info[start + 4 : start + size])
    return b"".join(rows)


def forget() -> None:
    """Frees what is kept of programs that may be folded again."""
    _taken_apart.cache_clear()


@lru_cache(maxsize=2)
def _taken_apart(code: bytes) -> tuple[tuple[_Row, ...], frozenset[int]]:
    """Instructions, and which are jumped to. Half of the time of a fold goes here, and one program is folded
    for each hook of its kind."""
    rows = tuple(_INSTRUCTION.iter_unpack(code))
    targets = frozenset(
        at + 1 + offset
        for at, (operation, _, offset, _) in enumerate(rows)
        if operation & 7 in (_JMP, _JMP32) and operation not in (_CALL, _EXIT)
    )
    return rows, targets


class _Moved(NamedTuple):
    code: bytes
    at: dict[int, int]
    """New number of every instruction that is left, by its old one."""
    begins: dict[int, int]
    """The same of functions."""


class _Program:
    """Instructions by number; a wide one takes two."""

    def __init__(self, code: bytes, sections_at: Mapping[int, int], sections: list[bytes]) -> None:
        rows, self._targets = _taken_apart(code)
        self.rows = list(rows)
        self.entered = {0}
        """Where functions begin that are called."""
        self._section_at = {at // 8: number for at, number in sections_at.items()}
        self._sections = sections
        self._before: dict[int, list[Known]] = {}
        """What is known where instructions begin that are jumped to."""
        self._ways: dict[int, tuple[int, ...]] = {}
        """Instructions that are reached, and which can follow."""
        self._results: dict[int, int] = {}
        """Numbers that instructions always give."""
        self._dropped: set[int] = set()

    def follow(self) -> None:
        """Goes every way that constants leave open."""
        pending: list[tuple[int, list[Known]]] = [(0, [None] * 11)]
        begun: set[int] = set()
        while pending:
            at, known = pending.pop()
            self._run(at, known, pending)
            for begin in self.entered - begun:
                begun.add(begin)
                if begin:
                    pending.append((begin, [None] * 11))

    def _run(self, at: int, known: list[Known], pending: list[tuple[int, list[Known]]]) -> None:
        """From one instruction on, until nothing new is learned."""
        rows, targets = self.rows, self._targets
        while True:
            if at in targets or at in self.entered:
                merged = self._merged(at, known)
                if merged is None:
                    return
                known = merged
            operation = rows[at][0]
            kind = operation & 7
            if kind in (_JMP, _JMP32) and operation != _CALL:
                if operation == _EXIT:
                    self._ways[at] = ()
                    return
                self._ways[at] = ways = self._jump_ways(at, known)
                for other in ways[1:]:
                    pending.append((other, known.copy()))
                at = ways[0]
                continue
            self._step(at, known)
            after = at + 2 if operation == _WIDE else at + 1
            self._ways[at] = (after,)
            at = after

    def _merged(self, at: int, known: list[Known]) -> list[Known] | None:
        """What is known whichever way one came; None when that was so before."""
        before = self._before.get(at)
        if before is None:
            self._before[at] = known.copy()
            return known
        merged = [one if one == other else None for one, other in zip(before, known, strict=True)]
        if merged == before:
            return None
        self._before[at] = merged
        return merged.copy()

    def _jump_ways(self, at: int, known: list[Known]) -> tuple[int, ...]:
        operation, registers, offset, number = self.rows[at]
        there = at + 1 + offset
        if operation == _JUMP:
            return (there,)
        one = known[registers & 15]
        other = known[registers >> 4] if operation & 8 else number & _64
        if isinstance(one, int) and isinstance(other, int):
            decided = _compare(operation, one, other)
            if decided is not None:
                return (there,) if decided else (at + 1,)
        return (at + 1, there)

    def _step(self, at: int, known: list[Known]) -> None:
        """One instruction that does not jump."""
        operation, registers, offset, number = self.rows[at]
        to = registers & 15
        self._results.pop(at, None)
        kind = operation & 7
        result: Known = None
        if kind in (_ALU64, _ALU32):
            other = known[registers >> 4] if operation & 8 else number & _64
            result = _computed(operation, known[to], other)
        elif kind == _LDX:
            result = self._loaded(known[registers >> 4], offset, _SIZES.get(operation, 0))
        elif operation == _CALL:
            if registers >> 4 == _LOCAL_CALL:
                self.entered.add(at + 1 + number)
            known[:6] = [None] * 6
            return
        elif operation == _WIDE:
            result = self._wide(at, registers >> 4, number)
        elif kind == _STX and operation & 0xE0 == 0xC0:  # an atomic one: some give the old value
            known[0] = known[registers >> 4] = None
            return
        else:
            return
        known[to] = result
        if isinstance(result, int) and operation != _WIDE:
            self._results[at] = result

    def _wide(self, at: int, means: int, number: int) -> Known:
        upper = self.rows[at + 1][3]
        if at in self._section_at:
            return (self._section_at[at], upper & _32) if means == _MAP_VALUE else None
        return (number & _32 | (upper & _32) << 32) if not means else None

    def _loaded(self, source: Known, offset: int, size: int) -> int | None:
        if not isinstance(source, tuple) or not size:
            return None
        section, start = self._sections[source[0]], source[1] + offset
        if not 0 <= start <= len(section) - size:
            return None
        return int.from_bytes(section[start : start + size], "little")

    def drop_unread(self) -> None:
        """Puts known results in the place of how they came about, and leaves away what nobody reads then."""
        for at, result in self._results.items():
            if at in self._ways:
                self.rows[at] = _constant(self.rows[at], result)
        live = self._live_registers()
        self._dropped = {
            at
            for at in self._ways
            if _is_pure(self.rows[at][0]) and not live[at] >> (self.rows[at][1] & 15) & 1
        }

    def _live_registers(self) -> dict[int, int]:
        """Of every instruction that is reached, bits of the registers that are read after it."""
        reached = sorted(self._ways.items(), reverse=True)
        order = [(at, ways, _effect(self.rows[at], ways)) for at, ways in reached]
        loops = {way for at, ways, _ in order for way in ways if way <= at}
        before = [0] * (len(self.rows) + 1)
        after: dict[int, int] = {}
        changed = True
        while changed:
            changed = False  # where nothing leads back, once is enough
            for at, ways, (writes, reads, pure) in order:
                live = 0
                for way in ways:
                    live |= before[way]
                after[at] = live
                now = live if pure and not live & writes else live & ~writes | reads
                if at in loops and before[at] != now:
                    changed = True
                before[at] = now
        return after

    def emit(self) -> _Moved:
        """The instructions that are left, with jumps and calls to where their targets are now."""
        leads = self._leads()
        kept = [at for at in sorted(self._ways) if leads[at] == at]
        new, place = {}, 0
        for at in kept:
            new[at] = place
            place += 2 if self.rows[at][0] == _WIDE else 1
        begins = {begin: new[leads[begin]] for begin in self.entered}
        out = bytearray()
        for at in kept:
            for row in self._moved_rows(at, new, leads, begins):
                out += _INSTRUCTION.pack(*row)
        return _Moved(bytes(out), new, begins)

    def _leads(self) -> dict[int, int]:
        """Of every instruction that is reached the first that is kept and runs from there on."""
        leads: dict[int, int] = {}
        below = -1
        for at in sorted(self._ways, reverse=True):
            ways = self._ways[at]
            is_jump = len(ways) == 1 and self.rows[at][0] & 7 in (_JMP, _JMP32) and self.rows[at][0] != _CALL
            if at in self._dropped or (is_jump and leads.get(ways[0], -2) == below):
                leads[at] = leads[ways[0]]
            else:
                leads[at] = below = at
        return leads

    def _moved_rows(
        self, at: int, new: Mapping[int, int], leads: Mapping[int, int], begins: Mapping[int, int]
    ) -> list[tuple[int, int, int, int]]:
        operation, registers, offset, number = self.rows[at]
        ways = self._ways[at]
        if operation == _WIDE:
            return [self.rows[at], self.rows[at + 1]]
        if operation == _CALL and registers >> 4 == _LOCAL_CALL:
            return [(operation, registers, offset, begins[at + 1 + number] - new[at] - 1)]
        if operation & 7 in (_JMP, _JMP32) and operation not in (_CALL, _EXIT):
            offset = new[leads[ways[-1]]] - new[at] - 1
            return [(_JUMP, 0, offset, 0) if len(ways) == 1 else (operation, registers, offset, number)]
        return [self.rows[at]]


def _compare(operation: int, one: int, other: int) -> bool | None:
    """Whether a jump is taken."""
    if operation & 7 == _JMP32:
        one, other = one & _32, other & _32
    sign = 1 << (31 if operation & 7 == _JMP32 else 63)
    signed_one, signed_other = (one ^ sign) - sign, (other ^ sign) - sign
    return {
        0x10: one == other,
        0x20: one > other,
        0x30: one >= other,
        0x40: bool(one & other),
        0x50: one != other,
        0x60: signed_one > signed_other,
        0x70: signed_one >= signed_other,
        0xA0: one < other,
        0xB0: one <= other,
        0xC0: signed_one < signed_other,
        0xD0: signed_one <= signed_other,
    }.get(operation & 0xF0)


def _computed(operation: int, one: Known, other: Known) -> Known:
    """What arithmetic gives; places of constants go through moves and additions."""
    what, narrow = operation & 0xF0, operation & 7 == _ALU32
    if what == 0xB0 and not narrow:
        return other
    if isinstance(one, tuple) and isinstance(other, int) and what == 0x00 and not narrow:
        return (one[0], (one[1] + other) & _32)
    if not isinstance(other, int) or (what != 0xB0 and not isinstance(one, int)):
        return None
    bits = 32 if narrow else 64
    mask = (1 << bits) - 1
    found = _ARITHMETIC.get(what)
    number = one if isinstance(one, int) else 0
    return found(number & mask, other & mask, bits) & mask if found else None


_ARITHMETIC: dict[int, Callable[[int, int, int], int]] = {
    0x00: lambda one, other, _: one + other,
    0x10: lambda one, other, _: one - other,
    0x20: lambda one, other, _: one * other,
    0x40: lambda one, other, _: one | other,
    0x50: lambda one, other, _: one & other,
    0x60: lambda one, other, bits: one << (other & bits - 1),
    0x70: lambda one, other, bits: one >> (other & bits - 1),
    0xA0: lambda one, other, _: one ^ other,
    0xB0: lambda _, other, __: other,
}


def _constant(row: tuple[int, int, int, int], result: int) -> tuple[int, int, int, int]:
    """`register = result`, where one instruction can say it."""
    register = row[1] & 15
    if result < 1 << 31:
        return (0xB7, register, 0, result)
    if result <= _32:
        return (0xB4, register, 0, result - (1 << 32))
    return (0xB7, register, 0, result - (1 << 64)) if result >= _64 - (1 << 31) + 1 else row


def _is_pure(operation: int) -> bool:
    """Whether an instruction does nothing but write its register."""
    return operation & 7 in (_ALU64, _ALU32, _LDX) or operation == _WIDE


def _effect(row: tuple[int, int, int, int], ways: tuple[int, ...]) -> tuple[int, int, bool]:
    """Bits of the registers that it writes, that it reads, and whether that is all it does."""
    operation, registers, _, _ = row
    kind, to, source = operation & 7, 1 << (registers & 15), 1 << (registers >> 4)
    if kind in (_ALU64, _ALU32):
        what = operation & 0xF0
        other = source if operation & 8 and what != 0xD0 else 0
        return to, other if what == 0xB0 else other | to, True
    if kind == _LDX:
        return to, source, True
    if operation == _WIDE:
        return to, 0, True
    if operation == _CALL:
        return _CALL_LOSES, _ARGUMENTS, False
    if operation == _EXIT:
        return 0, 1, False
    if kind in (_JMP, _JMP32):
        return 0, (to | (source if operation & 8 else 0)) if len(ways) == 2 else 0, False
    return 0, to | (source | 1 if kind == _STX else 0), False
