# SPDX-License-Identifier: Apache-2.0
"""OTLP log requests: protobuf as opentelemetry-proto reads it, joined from pieces that are kept.

Making every message with the package costs 33 µs for 20 attributes, and the SDK's log path more. But
attributes repeat: the same program, user, pod. So each is encoded once, and the pieces are joined (Protocol
Buffers, "Encoding": length-delimited fields, repeated fields in any number). Tests read everything back with
the package. Field numbers: opentelemetry/proto/logs/v1/logs.proto and common/v1/common.proto, stable since
1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

KEPT_VALUES = 2048
"""Encoded values that are kept per attribute; when there are more, all are forgotten."""
KEPT_BYTES = 256
"""Longest encoded attribute that is worth keeping; command lines and the like seldom repeat."""

_TIMES = struct.Struct("<BQBQ")
_TIME_TAG, _OBSERVED_TAG = 1 << 3 | 1, 11 << 3 | 1
"""time_unix_nano = 1, observed_time_unix_nano = 11, both fixed64 (wire type 1)."""
_BODY_TAG, _ATTRIBUTES_TAG = b"\x2a", b"\x32"
"""body = 5, attributes = 6 of LogRecord, length-delimited (wire type 2)."""
_TEXT_TAG = b"\x0a"
"""string_value = 1 of AnyValue."""
_COUNT_TAG = b"\x18"
"""int_value = 3 of AnyValue, a varint (wire type 0)."""
_RECORDS_TAG = b"\x12"
"""log_records = 2 of ScopeLogs."""


class Encoder:
    """Encodes log records; keeps what repeats."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[bytes, dict[Any, bytes]]] = {}
        self._head = lru_cache(1024)(_head)

    def record(
        self,
        name: str,
        severity: tuple[int, str],
        times_ns: tuple[int, int],
        body: bytes,
        attributes: Iterable[tuple[str, Any]],
    ) -> bytes:
        """One log record as a field of ScopeLogs. `times_ns`: when it happened, when it was seen; `body`: an
        encoded AnyValue, see `text_value`."""
        event_ns, observed_ns = times_ns
        parts = [_TIMES.pack(_TIME_TAG, event_ns, _OBSERVED_TAG, observed_ns), self._head(name, *severity)]
        parts += (_BODY_TAG, varint(len(body)), body)
        pair = self._pair
        parts += [pair(key, value) for key, value in attributes]
        return _field(_RECORDS_TAG, b"".join(parts))

    def _pair(self, key: str, value: Any) -> bytes:
        """An attribute as a field of LogRecord. Texts and numbers are kept, by key."""
        known = self._keys.get(key)
        if known is None:
            known = self._keys[key] = (_field(b"\x0a", key.encode()) + b"\x12", {})
        before, kept = known
        kind = type(value)
        if kind is list:
            value = tuple(value)
        elif kind is not str and kind is not int:
            return _pair(before, any_value(value))
        try:
            found = kept.get(value)
        except TypeError:  # a list of what cannot be kept
            return _pair(before, any_value(value))
        if found is None:
            found = _text_pair(before, value.encode()) if kind is str else _pair(before, _encode(value))
            if len(kept) >= KEPT_VALUES:
                kept.clear()
            if len(found) <= KEPT_BYTES and (kind is not list or _is_texts(value)):
                kept[value] = found
        return found


def text_value(text: bytes) -> bytes:
    """An AnyValue that holds UTF-8 text."""
    return b"%b%b%b" % (_TEXT_TAG, varint(len(text)), text)


def any_value(value: Any) -> bytes:
    """An AnyValue that holds whatever JSON knows."""
    return _any(value).SerializeToString()


def request(resource: Mapping[str, Any], version: str, records: list[bytes]) -> bytes:
    """An ExportLogsServiceRequest: resource_logs = 1 { resource = 1, scope_logs = 2 { scope = 1, … } }."""
    pairs = [KeyValue(key=key, value=_any(value)) for key, value in resource.items()]
    scope = _field(b"\x0a", _field(b"\x0a", b"tracehound") + _field(b"\x12", version.encode()))
    logs = _field(b"\x12", scope + b"".join(records))
    return _field(b"\x0a", _field(b"\x0a", Resource(attributes=pairs).SerializeToString()) + logs)


def varint(number: int) -> bytes:
    """Base 128, lowest group first (protobuf's Encoding, "Base 128 Varints")."""
    if number < 16384:
        return _LENGTHS[number]
    return bytes((number & 127 | 128,)) + varint(number >> 7)


_LENGTHS = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(16384)]
"""The varints of nearly all lengths."""


def _field(tag: bytes, content: bytes) -> bytes:
    return b"%b%b%b" % (tag, varint(len(content)), content)


def _pair(before: bytes, value: bytes) -> bytes:
    """attributes = 6 { key = 1, value = 2 }; `before` is the key and the value's tag."""
    length = varint(len(value))
    return b"%b%b%b%b%b" % (
        _ATTRIBUTES_TAG,
        varint(len(before) + len(length) + len(value)),
        before,
        length,
        value,
    )


def _text_pair(before: bytes, text: bytes) -> bytes:
    """The same for text, in one go: most of what is not kept is text."""
    size = len(text)
    if size > 16000:
        return _pair(before, text_value(text))
    inner = _LENGTHS[size]
    length = _LENGTHS[1 + len(inner) + size]
    total = _LENGTHS[len(before) + len(length) + 1 + len(inner) + size]
    return b"\x32%b%b%b\x0a%b%b" % (total, before, length, inner, text)


def _is_texts(value: tuple[Any, ...]) -> bool:
    """Only such lists are kept: (1,) is equal to (True,)."""
    return set(map(type, value)) == {str}


def _encode(value: int | tuple[Any, ...]) -> bytes:
    """int_value = 3, negative numbers as 64-bit two's complement; array_value = 5 { values = 1 }."""
    if type(value) is int and -(1 << 63) <= value < 1 << 63:
        return _COUNT_TAG + varint(value & 0xFFFF_FFFF_FFFF_FFFF)
    if type(value) is tuple and _is_texts(value):
        return _field(b"\x2a", b"".join([_field(_TEXT_TAG, text_value(item.encode())) for item in value]))
    return any_value(value)


def _head(name: str, severity_number: int, severity_text: str) -> bytes:
    head = LogRecord(event_name=name, severity_text=severity_text)
    head.severity_number = severity_number  # type: ignore[assignment]
    return head.SerializeToString()


def _any(value: Any) -> AnyValue:
    """Integers beyond 64 bits become text, null an empty value."""
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        fits = -(1 << 63) <= value < 1 << 63
        return AnyValue(int_value=value) if fits else AnyValue(string_value=str(value))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, Mapping):
        pairs = [KeyValue(key=str(key), value=_any(item)) for key, item in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    if isinstance(value, list | tuple):
        return AnyValue(array_value=ArrayValue(values=[_any(item) for item in value]))
    return AnyValue()
