# SPDX-License-Identifier: Apache-2.0
"""Records of tracepoints, as tracefs describes them (Linux Documentation/trace/events.rst)."""

from __future__ import annotations

import re
from typing import NamedTuple

_LINE = re.compile(r"\tfield:(?P<text>[^;]+);\toffset:(\d+);\tsize:(\d+);(?:\tsigned:(\d);)?")
_DECLARATION = re.compile(r"^(?P<type>.*?)\s*\b(?P<name>\w+)(?P<array>(?:\[[^\]]*\])*)$")


class Field(NamedTuple):
    """One field of a record."""

    name: str
    type: str
    """As C writes it, without the array: `const char *`, `__data_loc char[]`."""
    offset: int
    size: int
    """Bytes."""
    is_signed: bool
    is_array: bool

    @property
    def is_data_loc(self) -> bool:
        """Whether the field tells where in the record the content is: offset and length, 16 bits each."""
        return self.type.startswith("__data_loc")

    @property
    def is_pointer(self) -> bool:
        """Whether it is an address."""
        return self.type.rstrip().endswith("*") and not self.is_data_loc


def parse_format(text: str) -> tuple[Field, ...]:
    """Fields in order, those that all tracepoints have (`common_type` ...) first."""
    return tuple(
        _field(found["text"], int(found[2]), int(found[3]), found[4] == "1")
        for found in map(_LINE.match, text.splitlines())
        if found
    )


def _field(text: str, offset: int, size: int, is_signed: bool) -> Field:
    found = _DECLARATION.match(text)
    if not found:
        return Field(text, "", offset, size, is_signed, False)
    is_array = bool(found["array"])
    return Field(found["name"], found["type"].strip(), offset, size, is_signed, is_array)
