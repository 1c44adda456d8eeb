# SPDX-License-Identifier: Apache-2.0
"""Arrow arrays of what Python has collected, and back. Needs pyarrow (extra `store`)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from agent.store.schema import COLUMNS
from agent.store.split import STAMP

TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
    "TIMESTAMP_NS": pa.timestamp("ns"),
}
_KINDS = {column.name: TYPES[column.type] for column in COLUMNS}
_UTC = pa.timestamp("ns", tz="UTC")


def numbers(values: array[int], kind: pa.DataType) -> pa.Array:
    """Without copying them."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def places(ids: array[int]) -> pa.Array:
    """Numbers of rows; negative: none."""
    found = numbers(ids, pa.int32())
    return pc.if_else(pc.less(found, 0), pa.scalar(None, pa.int32()), found)


def named(name: str, values: Sequence[Any]) -> pa.Array:
    """Values of one of the store's columns, texts as a dictionary whose words are all different."""
    kind = _KINDS[name]
    if kind != pa.string():
        return _array(values, kind)
    if values and isinstance(values[0], bytes):
        return pa.array(values, pa.binary()).cast(kind).dictionary_encode()
    return _array(values, kind).dictionary_encode()


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """What is not of the kind (somebody else's lines) is null."""
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError):
        return pa.array([_fitting(value, kind) for value in values], kind)


def _fitting(value: Any, kind: pa.DataType) -> Any:
    try:
        return pa.scalar(value, kind).as_py()
    except (pa.ArrowException, OverflowError):
        return None


def spread(values: pa.Array, ids: pa.Array) -> pa.Array:
    """One value per row."""
    if not pa.types.is_dictionary(values.type):
        return values.take(ids)
    return pa.DictionaryArray.from_arrays(values.indices.take(ids), values.dictionary)


def stamps_ns(stamps: Sequence[bytes]) -> bytes:
    """Times as they stand in the log as wall-clock nanoseconds of 64 bits, in the machine's order. Raises
    ValueError when one is none."""
    text = b"".join(stamps)
    if len(text) != STAMP * len(stamps):
        raise ValueError("a time has another length")
    offsets = array("i", range(0, len(text) + 1, STAMP))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    found = pa.Array.from_buffers(pa.string(), len(stamps), buffers).cast(_UTC).cast(pa.int64())
    return bytes(found.buffers()[1])[: 8 * len(stamps)]


def plain(column: pa.Array, nothing: Any) -> list[Any]:
    """The values as Python's; of dictionaries each word is made once."""
    if not pa.types.is_dictionary(column.type):
        found: list[Any] = column.fill_null(nothing).to_pylist()
        return found
    words = [*column.dictionary.to_pylist(), nothing]
    return [words[number] for number in column.indices.fill_null(len(words) - 1).to_pylist()]
