# SPDX-License-Identifier: Apache-2.0
"""Programs whose shapes differ in the hook's number alone. A policy on all system calls has hundreds of them:
two are folded (agent.kernel.fold), and where those differ in nothing but the number, the others are made by
putting theirs in its place. Programs tell the number and decide nothing by it (kprobes/include/policy.h)."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from agent.kernel import fold
from agent.kernel.template import Template

_NUMBER = slice(0, 4)
"""Of struct shape: `hook`."""
_ROW, _IMMEDIATE = 8, 4
"""Bytes of an instruction, and where in it a constant of 4 bytes stands (Linux
Documentation/bpf/standardization/instruction-set.rst)."""


@dataclass(slots=True)
class _Seen:
    """One shape without its number."""

    number: bytes
    program: Template
    places: tuple[int, ...] | None = None
    """Byte offsets of the number in the code, once they are known."""


class Alike:
    """What was folded, until `forget`."""

    def __init__(self) -> None:
        self._seen: dict[tuple[bytes, bytes], _Seen] = {}

    def folded(self, template: Template, section: str, shape: bytes, shared: Collection[str]) -> Template:
        """As Template.folded with this shape in its section."""
        key, number = (template.code, shape[_NUMBER.stop :]), shape[_NUMBER]
        seen = self._seen.get(key)
        if seen and seen.places is not None:
            return replace(seen.program, code=_with_number(seen.program.code, seen.places, number))
        constants: Mapping[str, bytes] = {section: shape}
        program = template.folded(constants, shared)
        if seen and number != seen.number:
            seen.places = _places(seen, program, number)
        elif not seen:
            self._seen[key] = _Seen(number, program)
        return program

    def forget(self) -> None:
        """Frees the memory."""
        self._seen.clear()
        fold.forget()


def _places(seen: _Seen, program: Template, number: bytes) -> tuple[int, ...] | None:
    """Where the number stands; None where two programs differ in more than that."""
    one, other = seen.program.code, program.code
    if len(one) != len(other):
        return None
    at = tuple(
        start + _IMMEDIATE
        for start in range(0, len(one), _ROW)
        if one[start : start + _ROW] != other[start : start + _ROW]
        and one[start + _IMMEDIATE : start + _ROW] == seen.number
    )
    is_all = _with_number(one, at, number) == other and program == replace(seen.program, code=other)
    return at if is_all else None


def _with_number(code: bytes, places: Collection[int], number: bytes) -> bytes:
    changed = bytearray(code)
    for at in places:
        struct.pack_into("4s", changed, at, number)
    return bytes(changed)
