# SPDX-License-Identifier: Apache-2.0
"""Makes a large store of a small one: its segments again and again, each time later and with other processes.

    python -m tests.bench.storeload LOGDIR COPIES

LOGDIR is a log that was recorded and compacted. What began while it was recorded gets another exec_id in each
copy; what was there before stays the same process, so that trees reach up to it in all copies.
"""

from __future__ import annotations

import base64
import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agent.log.segments import SegmentName
from agent.store.layout import compacted_segments, index_path, parquet_path

GAP_NS = 1_000_000_000
_QUOTED = re.compile(r'"([^"]+)"')
_COLUMNS = (
    "boot", "exec_id", "pid", "uid", "binary", "args", "cwd", "user", "container", "namespace", "pod",
    "status", "signal", "flags",
)  # fmt: skip


def grow(log_dir: Path, copies: int) -> int:
    """Adds the copies; returns how many rows there are then."""
    names = compacted_segments(log_dir)
    db = sqlite3.connect(index_path(log_dir), isolation_level=None)
    rows, last_ns, last = db.execute(
        "SELECT sum(rows), max(last_ns), max(last_sequence) FROM segments"
    ).fetchone()
    began = db.execute("SELECT min(time_ns) FROM notes WHERE kind='start'").fetchone()[0]
    youngest = db.execute("SELECT min(key) FROM processes WHERE start_ns >= ? AND exec_id IS NULL", (began,))
    key = youngest.fetchone()[0]
    span = last_ns - began + GAP_NS
    for copy in range(1, copies + 1):
        shift = copy * span
        _grow_index(db, copy, shift, key, last, names)
        for name in names:
            _grow_file(log_dir, name, shift, key, copy * last)
        print(f"{copy}/{copies}", file=sys.stderr, flush=True)
    db.close()
    return int(rows) * (copies + 1)


def _later(name: SegmentName, shift: int, numbers: int) -> SegmentName:
    return SegmentName(name.created_ms + shift // 1_000_000, name.first_sequence + numbers)


def _grow_index(
    db: sqlite3.Connection, copy: int, shift: int, key: int, last: int, names: list[SegmentName]
) -> None:
    most = db.execute("SELECT max(id) FROM processes").fetchone()[0]
    if copy == 1:
        db.execute("CREATE TEMP TABLE base AS SELECT * FROM processes WHERE key >= ?", (key,))
    columns = ", ".join(_COLUMNS)
    db.execute("BEGIN")
    db.execute(
        "INSERT INTO processes(id, key, parent, start_ns, end_ns, first_sequence, last_sequence, seen,"
        f" {columns}) SELECT id + :most, key + :shift,"
        " CASE WHEN parent IN (SELECT id FROM base) THEN parent + :most ELSE parent END,"
        " start_ns + :shift, end_ns + :shift, first_sequence + :numbers, last_sequence + :numbers, seen,"
        f" {columns} FROM base",
        {"most": most, "shift": shift, "numbers": copy * last},
    )
    for name in names:
        numbers, later = copy * last, str(_later(name, shift, copy * last))
        db.execute(
            "INSERT INTO segments(name, boot, rows, first_sequence, last_sequence, first_ns, last_ns, sha256,"
            " previous) SELECT ?, boot, rows, first_sequence + ?, last_sequence + ?, first_ns + ?,"
            " last_ns + ?, sha256, '' FROM segments WHERE name=?",
            (later, numbers, numbers, shift, shift, str(name)),
        )
    db.execute("COMMIT")


def _grow_file(log_dir: Path, name: SegmentName, shift: int, key: int, numbers: int) -> None:
    file = pq.ParquetFile(parquet_path(log_dir, name))
    table = file.read()
    known: dict[str, str] = {}

    def other(exec_id: str) -> str:
        made = known.get(exec_id)
        if made is None:
            made = known[exec_id] = _shifted(exec_id, key, shift)
        return made

    changed = {
        "time": _plus(table["time"], shift, pa.timestamp("ns")),
        "sequence": _plus(table["sequence"], numbers, pa.int64()),
        "exec_id": _words(table["exec_id"], other),
        "parent_exec_id": _words(table["parent_exec_id"], other),
        "lineage": _words(table["lineage"], lambda text: _QUOTED.sub(lambda one: f'"{other(one[1])}"', text)),
        "ancestry": pa.chunked_array(
            [[None if ids is None else [other(one) for one in ids] for ids in table["ancestry"].to_pylist()]],
            pa.list_(pa.string()),
        ),
    }
    for column, values in changed.items():
        table = table.set_column(table.column_names.index(column), column, values)
    target = parquet_path(log_dir, _later(name, shift, numbers))
    encoding = dict.fromkeys(("time", "sequence"), "DELTA_BINARY_PACKED")
    words = [one for one in table.column_names if one not in encoding and one != "ancestry"]
    with pq.ParquetWriter(
        target, table.schema, compression="zstd", compression_level=3, column_encoding=encoding,
        use_dictionary=[*words, "ancestry.list.element"], dictionary_pagesize_limit=1 << 28,
        store_schema=False,
    ) as writer:  # fmt: skip
        writer.write_table(table, row_group_size=1 << 20)
        told = {key: value for key, value in file.metadata.metadata.items() if key.startswith(b"tracehound.")}
        writer.add_key_value_metadata(told)


def _plus(column: pa.ChunkedArray, shift: int, kind: pa.DataType) -> pa.ChunkedArray:
    import pyarrow.compute as pc

    return pc.add(column.cast(pa.int64()), shift).cast(kind)


def _words(column: pa.ChunkedArray, change: Callable[[str], str]) -> pa.ChunkedArray:
    found = column.combine_chunks()
    found = found if pa.types.is_dictionary(found.type) else found.dictionary_encode()
    words = pa.array([change(word) for word in found.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([pa.DictionaryArray.from_arrays(found.indices, words)])


def _shifted(exec_id: str, key: int, shift: int) -> str:
    node, ktime, pid = base64.b64decode(exec_id).decode().rsplit(":", 2)
    if int(ktime) < key:
        return exec_id
    return base64.b64encode(f"{node}:{int(ktime) + shift}:{pid}".encode()).decode()


if __name__ == "__main__":
    print(grow(Path(sys.argv[1]), int(sys.argv[2])))
