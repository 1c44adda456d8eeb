# SPDX-License-Identifier: Apache-2.0
"""The few protobuf messages of the Container Runtime Interface and of NRI, by a table. Names of containers
come from others and need not be UTF-8, which protobuf's own library refuses.

Source: https://protobuf.dev/programming-guides/encoding/"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

_SKIPPED = {1: 8, 5: 4}
"""Bytes of fixed-width values, by wire type."""


class Field(NamedTuple):
    """One field of a message."""

    name: str
    kind: str
    """text, bytes, int, map (of text to text), message, messages (a list of them)."""
    of: Mapping[int, Field] = {}  # never changed


Message = Mapping[int, Field]


def encode(number: int, value: str | bytes) -> bytes:
    """A message of one field: a text, or a message."""
    data = value.encode(errors="replace") if isinstance(value, str) else value
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def encode_number(number: int, value: int) -> bytes:
    """A message of one field: a number that is not negative."""
    return bytes([number << 3]) + _varint(value)


def read(data: bytes, message: Message) -> dict[str, Any]:
    """The fields that the table names; what is cut or unknown is left out."""
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        field = message.get(number)
        if field is None:
            continue
        if field.kind == "int" and isinstance(value, int):
            found[field.name] = value
        elif isinstance(value, bytes):
            _put(found, field, value)
    return found


def as_time(nanoseconds: object) -> str:
    """RFC 3339 of nanoseconds since 1970; empty for 0."""
    if not isinstance(nanoseconds, int) or not 0 < nanoseconds < 1 << 63:
        return ""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"


def _put(found: dict[str, Any], field: Field, value: bytes) -> None:
    if field.kind == "text":
        found[field.name] = value.decode(errors="replace")
    elif field.kind == "bytes":
        found[field.name] = value
    elif field.kind == "message":
        found[field.name] = read(value, field.of)
    elif field.kind == "messages":
        found.setdefault(field.name, []).append(read(value, field.of))
    elif field.kind == "map":
        pair = read(value, _PAIR)
        found.setdefault(field.name, {})[pair.get("key", "")] = pair.get("value", "")


_PAIR: Message = {1: Field("key", "text"), 2: Field("value", "text")}


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    try:
        while at < len(data):
            tag, at = _number(data, at)
            kind = tag & 7
            if kind == 0:
                value, at = _number(data, at)
                yield tag >> 3, value
            elif kind == 2:
                length, at = _number(data, at)
                yield tag >> 3, data[at : at + length]
                at += length
            else:
                at += _SKIPPED[kind]
    except (IndexError, KeyError):  # the end is missing, or it is no protobuf
        return


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise IndexError


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
