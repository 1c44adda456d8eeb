# SPDX-License-Identifier: Apache-2.0
"""OTLP log requests, made of the messages of the opentelemetry-proto package.

Building every message of every event costs 33 µs for 20 attributes; the SDK's log path more. But attributes
repeat: the same program, user, pod. So each pair of name and value is encoded once by the package and kept,
and the pieces are joined, which protobuf allows (Encoding, "Last One Wins": repeated fields are
concatenated). That costs 4 µs. Field numbers: opentelemetry/proto/logs/v1/logs.proto,
collector/logs/v1/logs_service.proto, stable since 1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

KEPT_PAIRS = 65_536
"""Encoded attributes that are kept, about 150 bytes each."""
KEPT_TEXT = 256
"""Longest text that is worth keeping; command lines and the like seldom repeat."""

_TIMES = struct.Struct("<BQBQ")
_TIME_TAG, _OBSERVED_TAG = 1 << 3 | 1, 11 << 3 | 1
"""time_unix_nano = 1, observed_time_unix_nano = 11, both fixed64 (wire type 1)."""
_BODY_TAG, _ATTRIBUTES_TAG = b"\x2a", b"\x32"
"""body = 5, attributes = 6 of LogRecord, length-delimited (wire type 2)."""
_TEXT_TAG = b"\x0a"
"""string_value = 1 of AnyValue."""
_RECORDS_TAG = b"\x12"
"""log_records = 2 of ScopeLogs."""


class Encoder:
    """Encodes log records; keeps what repeats."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], bytes] = {}
        self._counts: dict[tuple[str, int], bytes] = {}
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
        parts += [self._pair(key, value) for key, value in attributes]
        joined = b"".join(parts)
        return b"%b%b%b" % (_RECORDS_TAG, varint(len(joined)), joined)

    def _pair(self, key: str, value: Any) -> bytes:
        kept: dict[Any, bytes]
        if type(value) is str:
            if len(value) > KEPT_TEXT:
                return _encode_pair(key, value)
            kept = self._texts
        elif type(value) is int:
            kept = self._counts
        else:
            return _encode_pair(key, value)
        found = kept.get((key, value))
        if found is None:
            if len(kept) >= KEPT_PAIRS:
                kept.clear()
            found = kept[key, value] = _encode_pair(key, value)
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
    if number < 128:
        return _SMALL[number]
    if number < 16384:
        return bytes((number & 127 | 128, number >> 7))
    return bytes((number & 127 | 128,)) + varint(number >> 7)


_SMALL = [bytes((number,)) for number in range(128)]


def _field(tag: bytes, content: bytes) -> bytes:
    return b"%b%b%b" % (tag, varint(len(content)), content)


def _head(name: str, severity_number: int, severity_text: str) -> bytes:
    head = LogRecord(event_name=name, severity_text=severity_text)
    head.severity_number = severity_number  # type: ignore[assignment]
    return head.SerializeToString()


def _encode_pair(key: str, value: Any) -> bytes:
    return _field(_ATTRIBUTES_TAG, KeyValue(key=key, value=_any(value)).SerializeToString())


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
