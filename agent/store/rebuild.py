# SPDX-License-Identifier: Apache-2.0
"""A row of the store to the line of the log that it was made of, byte for byte: `agent.store.split`,
backwards.

Needs no library for rows that are at hand; `lines` reads a Parquet file (pyarrow, extra `store`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
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
_HEAD = ("exec_id", "process_form", "parent_form")
"""What process and parent are known by."""
_OWN = ("type", "time", "sequence", "payload", "ancestry", "lineage")
_PROCESS = (
    ("parent_exec_id", "parent_exec_id"), ("pid", "pid"), ("uid", "uid"), ("auid", "auid"),
    ("binary", "exe"), ("arguments", "args"), ("cwd", "cwd"), ("docker", "container"),
)  # fmt: skip
"""Tetragon's names of a process's fields, and their columns."""
_TOGETHER = 64
"""Lines of a block."""
_UNKNOWN: Any = object()

Row = tuple[Any, ...]


def line(row: Mapping[str, Any], middle: str) -> bytes:
    """The line of a row, without its newline. `time` is wall-clock nanoseconds, `middle` stands in the file's
    metadata (`tracehound.middle`). Raises ValueError when the row is not as the compactor writes it."""
    columns = {name: [row.get(name)] for name in REBUILD}
    columns["time"] = [format_time(row["time"] or 0)]
    columns["ancestry"] = [None if (ids := row.get("ancestry")) is None else '","'.join(ids)]
    return _encoded(next(Rebuilder(middle).texts(columns)))


class Rebuilder:
    """Remembers processes and payloads: most rows have those that were there before."""

    def __init__(self, middle: str) -> None:
        self._middle = middle
        self._heads: dict[Row, str] = {}
        """What stands between type and own fields, by exec_id and forms."""
        self._payloads: dict[str, tuple[str, str, bool] | None] = {}

    def texts(self, columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
        """The lines of rows without newlines, bytes that are no text as surrogates; `columns` are those of
        `schema.REBUILD`, `time` as it stands in the log, `ancestry` joined by `","`. Raises ValueError."""
        heads, payloads, middle = self._heads, self._payloads, self._middle
        keys = zip(*(columns[name] for name in _HEAD), strict=True)
        rows = zip(keys, *(columns[name] for name in _OWN), strict=True)
        for at, (key, type_, stamp, sequence, payload, ancestry, lineage) in enumerate(rows):
            known = payloads.get(payload, _UNKNOWN)
            if known is _UNKNOWN:
                known = payloads[payload] = _payload_parts(payload)
            if known is None:
                yield _whole(payload)
                continue
            own, tail, has_lineage = known
            head = heads.get(key)
            if head is None:
                head = heads[key] = _head(key, columns, at)
            if not has_lineage:
                above = ""
            elif ancestry is None or type_ != "process_exec":
                above = f',"ancestry":[{lineage or ""}]'
            else:
                above = f',"ancestry":["{ancestry}"]' if ancestry else ',"ancestry":[]'
            if TIME in own:
                own = own.replace(TIME, stamp)
            yield f'{{"{type_}{head}{own}{middle}{stamp}{SEQUENCE}{sequence}{above}{tail}'


def _payload_parts(payload: str | None) -> tuple[str, str, bool] | None:
    """Own fields, what follows the number, whether an ancestry stands there; None: the line is whole."""
    if payload is None or not payload.startswith(_PARTS):
        return None
    own, _, tail = payload.partition(CUT)
    return own, tail.removeprefix(LINEAGE), tail.startswith(LINEAGE)


def _head(key: Row, columns: Mapping[str, Sequence[Any]], at: int) -> str:
    exec_id, process_form, parent_form = key
    values = {name: columns[column][at] for name, column in _PROCESS}
    process = process_json(process_form, {"exec_id": exec_id, **values})
    parent_id = values["parent_exec_id"]
    parent = "" if parent_form is None else f',"parent":{{"exec_id":"{parent_id}"{parent_form}'
    return f'":{{"process":{process}{parent}'


def _whole(payload: str | None) -> str:
    if payload is None:
        raise ValueError("the row has no payload")
    if payload.startswith(ENCODED):
        return base64.b64decode(payload[1:]).decode(errors="surrogateescape")
    return payload


def _encoded(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def lines(path: Path) -> Iterator[bytes]:
    """All lines of a Parquet file in order, each with its newline. Raises OSError and ValueError
    (damaged)."""
    for texts, end in _texts(path):
        for text in texts[:-1]:
            yield _encoded(f"{text}\n")
        yield _encoded(texts[-1] + end)


def blocks(path: Path) -> Iterator[bytes | memoryview]:
    """The bytes of all lines, many at a time. Raises as `lines` does."""
    from agent.store.parquet import damage_told, opened

    with opened(path) as file:
        metadata = metadata_of(file)
        names = [name for name in REBUILD if name in file.schema_arrow.names]
        held: bytes | memoryview = b""
        for group in range(file.num_row_groups):
            with damage_told(path):
                table = file.read_row_group(group, columns=names)
            for block in _blocks(table, metadata.get("middle", "")):
                yield held
                held = block
        yield held if metadata.get("ended", "1") == "1" else held[:-1]


def _blocks(table: pa.Table, middle: str) -> Iterator[bytes | memoryview]:
    """The bytes of the lines of some rows, each with its newline."""
    from agent.store.again import Lines, Odd

    try:
        columns = Lines(table, middle.encode())
    except Odd:
        found = Rebuilder(middle).texts(_columns(table))
        while texts := list(islice(found, _TOGETHER)):
            yield _encoded("\n".join(texts) + "\n")
    else:
        for block in columns.blocks():
            yield memoryview(block)


def _texts(path: Path) -> Iterator[tuple[list[str], str]]:
    """Lines, many at a time, and what follows the last of them."""
    from agent.store.parquet import damage_told, opened

    with opened(path) as file:
        metadata = metadata_of(file)
        rebuilder, ended = Rebuilder(metadata.get("middle", "")), metadata.get("ended", "1") == "1"
        left = file.metadata.num_rows
        names = [name for name in REBUILD if name in file.schema_arrow.names]
        for group in range(file.num_row_groups):
            with damage_told(path):
                table = file.read_row_group(group, columns=names)
            found = rebuilder.texts(_columns(table))
            while texts := list(islice(found, _TOGETHER)):
                left -= len(texts)
                yield texts, "\n" if left or ended else ""


def metadata_of(file: pq.ParquetFile) -> dict[str, str]:
    """What the compactor wrote about the segment, without the prefix `tracehound.`."""
    found = file.metadata.metadata or {}
    prefix = b"tracehound."
    return {
        key[len(prefix) :].decode(): value.decode() for key, value in found.items() if key.startswith(prefix)
    }


def _columns(table: pa.Table) -> dict[str, Sequence[Any]]:
    """The values as `Rebuilder.texts` takes them."""
    import pyarrow.compute as pc

    there, nothing = set(table.column_names), [None] * len(table)
    found: dict[str, Sequence[Any]] = {}
    for name in REBUILD:
        if name not in there:
            found[name] = nothing
            continue
        column = table.column(name).combine_chunks()
        if name == "ancestry":
            column = pc.binary_join(column, '","')
        found[name] = _stamps(column) if name == "time" else _values(column)
    return found


def _stamps(column: pa.Array) -> Sequence[Any]:
    """Times as they stand in the log."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_replace_slice(column.cast(pa.string()), 10, 11, "T")
    found: list[Any] = pc.binary_join_element_wise(texts, "Z", "").to_pylist()
    return found


def _values(column: pa.Array) -> Sequence[Any]:
    """The values as Python's; of dictionaries each word is made once."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        found: list[Any] = column.to_pylist()
        return found
    if len(column) < len(column.dictionary):  # few rows were chosen of many
        return column.dictionary.take(column.indices).to_pylist()  # type: ignore[no-any-return]
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

    wanted = pa.array(list(values), pa.string())
    return lines_masked(path, (column,), lambda table: is_in(table.column(0), wanted), from_ns, to_ns)


def lines_masked(
    path: Path,
    columns: Sequence[str],
    mask_of: Callable[[pa.Table], pa.Array],
    from_ns: int = 0,
    to_ns: int = 1 << 62,
) -> Iterator[bytes]:
    """Lines, without newlines, of rows that `mask_of` says true of, and whose time is in a period.

    It gets tables with the columns and returns one boolean per row, none of them null. Raises as `lines`
    does. A file of an older schema that lacks one of the columns has no such rows.
    """
    import pyarrow.compute as pc

    from agent.store.parquet import damage_told, opened

    with opened(path) as file:
        there = file.schema_arrow.names
        if not set(columns) <= set(there):
            return
        rebuilder = Rebuilder(metadata_of(file).get("middle", ""))
        names = [name for name in REBUILD if name in there]
        for group in range(file.num_row_groups):
            if _is_outside(file, group, from_ns, to_ns):
                continue
            with damage_told(path):
                found = file.read_row_group(group, columns=list(columns))
                mask = mask_of(found.select(columns))
                if not pc.any(mask).as_py():
                    continue
                table = file.read_row_group(group, columns=names).filter(mask)
                table = table.filter(_within(table.column("time"), from_ns, to_ns))
            yield from map(_encoded, rebuilder.texts(_columns(table)))


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def is_in(column: pa.ChunkedArray, wanted: pa.Array) -> pa.Array:
    """Which rows have one of the words."""
    import pyarrow.compute as pc

    return by_word(column, lambda words: pc.is_in(words, wanted))


def by_word(column: pa.ChunkedArray, holds: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Which rows have a word that passes a test: asked once per word, not per row. Without one: none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    one = whole(column)
    if not pa.types.is_dictionary(one.type):
        return pc.fill_null(holds(one), False)
    words = holds(one.dictionary)
    if not pc.any(words).as_py():
        return pa.repeat(False, len(one))
    return pc.fill_null(words.take(one.indices), False)


def _within(times: pa.ChunkedArray, from_ns: int, to_ns: int) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = times.cast(pa.int64())
    return pc.and_(pc.greater_equal(numbers, from_ns), pc.less_equal(numbers, to_ns))


def _is_outside(file: pq.ParquetFile, group: int, from_ns: int, to_ns: int) -> bool:
    """Whether a row group's statistics say that it holds nothing of a period."""
    about = file.metadata.row_group(group)
    place = file.schema_arrow.names.index("time")
    statistics = about.column(place).statistics
    if statistics is None or not statistics.has_min_max:
        return False
    first, last = statistics.min_raw, statistics.max_raw
    return isinstance(first, int) and isinstance(last, int) and (last < from_ns or first > to_ns)
