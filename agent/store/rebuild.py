# SPDX-License-Identifier: Apache-2.0
"""A row of the store to the line of the log that it was made of, byte for byte: `agent.store.split`,
backwards.

Needs no library for rows that are at hand; `lines` reads a Parquet file (pyarrow, extra `store`).
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.log.times import format_time
from agent.store.schema import REBUILD
from agent.store.split import CUT, ENCODED, LINEAGE, SEQUENCE, TIME, process_json

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_PARTS = (",", CUT)
"""How payloads of lines that were taken apart begin; others are the line."""


def line(row: Mapping[str, Any], middle: str) -> bytes:
    """The line of a row, without its newline. `time` is wall-clock nanoseconds, `middle` stands in the file's
    metadata (`tracehound.middle`). Raises ValueError when the row is not as the compactor writes it."""
    return Rebuilder(middle).line(tuple(row.get(name) for name in REBUILD))


class Rebuilder:
    """Remembers processes and payloads: most rows have those that were there before."""

    def __init__(self, middle: str) -> None:
        self._middle = middle
        self._processes: dict[tuple[Any, ...], str] = {}
        self._payloads: dict[str, tuple[str, str, bool]] = {}

    def line(self, row: Sequence[Any]) -> bytes:
        """The line of a row, given as the values of `schema.REBUILD`. Raises ValueError."""
        (
            time_ns, sequence, type_, exec_id, parent_id, ancestry, pid, uid, auid,
            exe, args, cwd, _, container, payload, process_form, parent_form, lineage,
        ) = row  # fmt: skip
        known = self._payloads.get(payload)
        if known is None:
            if payload is None or not payload.startswith(_PARTS):
                return _whole(payload)
            known = self._new_payload(payload)
        key = (exec_id, process_form)
        process = self._processes.get(key)
        if process is None:
            values = {
                "exec_id": exec_id, "parent_exec_id": parent_id, "pid": pid, "uid": uid, "auid": auid,
                "binary": exe, "arguments": args, "cwd": cwd, "docker": container,
            }  # fmt: skip
            process = self._processes[key] = process_json(process_form, values)
        own, tail, has_lineage = known
        if ancestry is not None and type_ == "process_exec":
            lineage = '"' + '","'.join(ancestry) + '"' if ancestry else ""
        stamp = format_time(time_ns)
        parent = "" if parent_form is None else f',"parent":{{"exec_id":"{parent_id}"{parent_form}'
        above = f',"ancestry":[{lineage}]' if has_lineage else ""
        if TIME in own:
            own = own.replace(TIME, stamp)
        return (
            f'{{"{type_}":{{"process":{process}{parent}{own}{self._middle}{stamp}{SEQUENCE}{sequence}{above}{tail}'
        ).encode()

    def _new_payload(self, payload: str) -> tuple[str, str, bool]:
        own, _, tail = payload.partition(CUT)
        known = (own, tail.removeprefix(LINEAGE), tail.startswith(LINEAGE))
        self._payloads[payload] = known
        return known


def _whole(payload: str | None) -> bytes:
    if payload is None:
        raise ValueError("the row has no payload")
    if payload.startswith(ENCODED):
        return base64.b64decode(payload[1:])
    return payload.encode()


def lines(path: Path) -> Iterator[bytes]:
    """All lines of a Parquet file in order, each with its newline. Raises OSError and ValueError
    (damaged)."""
    from agent.store.parquet import damage_told, opened

    with opened(path) as file:
        metadata = metadata_of(file)
        rebuilder, ended = Rebuilder(metadata.get("middle", "")), metadata.get("ended", "1") == "1"
        left = file.metadata.num_rows
        names = [name for name in REBUILD if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            with damage_told(path):
                table = file.read_row_group(group, columns=names)
            for row in _rows(table):
                left -= 1
                yield rebuilder.line(row) + (b"\n" if left or ended else b"")


def metadata_of(file: pq.ParquetFile) -> dict[str, str]:
    """What the compactor wrote about the segment, without the prefix `tracehound.`."""
    found = file.metadata.metadata or {}
    prefix = b"tracehound."
    return {
        key[len(prefix) :].decode(): value.decode() for key, value in found.items() if key.startswith(prefix)
    }


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    there, nothing = set(table.column_names), [None] * len(table)
    columns = [_values(table.column(name).combine_chunks()) if name in there else nothing for name in REBUILD]
    return zip(*columns, strict=True)


def _values(column: pa.Array) -> Sequence[Any]:
    """The values as Python's; of dictionaries each word is made once."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if not pa.types.is_dictionary(column.type):
        found: list[Any] = column.to_pylist()
        return found
    words = [*column.dictionary.to_pylist(), None]
    ids = column.indices.fill_null(len(words) - 1).to_pylist()
    return [words[number] for number in ids]


def lines_where(
    path: Path, column: str, values: Collection[str], from_ns: int = 0, to_ns: int = 1 << 62
) -> Iterator[bytes]:
    """Lines, without newlines, of rows whose column is one of the values and whose time is in a period.

    Raises as `lines` does. A file of an older schema that lacks the column has no such rows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from agent.store.parquet import damage_told, opened

    with opened(path) as file:
        if column not in file.schema_arrow.names:
            return
        rebuilder = Rebuilder(metadata_of(file).get("middle", ""))
        wanted = pa.array(list(values), pa.string())
        names = [name for name in REBUILD if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            if _is_outside(file, group, from_ns, to_ns):
                continue
            with damage_told(path):
                found = file.read_row_group(group, columns=[column]).column(0).combine_chunks()
                mask = _is_in(found, wanted)
                if not pc.any(mask).as_py():
                    continue
                table = file.read_row_group(group, columns=names).filter(mask)
            for row in _rows(table):
                if from_ns <= row[0] <= to_ns:
                    yield rebuilder.line(row)


def _is_in(column: pa.Array, wanted: pa.Array) -> pa.Array:
    """Which rows have one of the words: looked up once per word, not per row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return pc.fill_null(pc.is_in(column, wanted), False)
    words = pc.is_in(column.dictionary, wanted)
    if not pc.any(words).as_py():
        return pa.repeat(False, len(column))
    return pc.fill_null(words.take(column.indices), False)


def _is_outside(file: pq.ParquetFile, group: int, from_ns: int, to_ns: int) -> bool:
    """Whether a row group's statistics say that it holds nothing of a period."""
    about = file.metadata.row_group(group)
    place = file.schema_arrow.names.index("time")
    statistics = about.column(place).statistics
    if statistics is None or not statistics.has_min_max:
        return False
    first, last = statistics.min_raw, statistics.max_raw
    return isinstance(first, int) and isinstance(last, int) and (last < from_ns or first > to_ns)
