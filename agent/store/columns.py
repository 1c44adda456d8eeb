# SPDX-License-Identifier: Apache-2.0
"""Lines of the log to columns: every text that repeats is kept once, and rows are numbers that name it.

A batch becomes one row group. What it holds is bounded by `is_full`. Needs pyarrow (extra `store`).
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from agent.log.times import parse_time
from agent.store.flat import COLUMNS, Record, flatten
from agent.store.schema import COLUMNS as SCHEMA_COLUMNS
from agent.store.schema import EVENT, PROCESS
from agent.store.split import CUT, ENCODED, LINEAGE, TIME, join, process_form, split

ROWS_MOST = 1 << 16
"""Rows of a row group."""
TEXT_MOST = 24 << 20
"""Characters of different texts in a row group: what bounds the memory."""
_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_process_values = itemgetter(*(_PLACE[name] for name in PROCESS))
_event_values = itemgetter(*(_PLACE[name] for name in EVENT))
_ANCESTRY, _PARENT_EXE = _PLACE["ancestry"], _PLACE["parent_exe"]
_NULL = -1
_NOTHING = (None,) * (len(EVENT) - 2)
_LIVES = frozenset(("process_exec", "process_exit"))
_PARENT_HEAD = '{"exec_id":"'

Row = tuple[Any, ...]


class Table:
    """Different rows of some columns, each kept once."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self.rows: list[Row] = []
        self.known: dict[Any, int] = {}
        self.ids = array("i")
        """For each row of the batch the number of its row here; -1: none."""

    def put(self, key: Any, row: Row) -> int:
        """The number of a new row."""
        self.known[key] = number = len(self.rows)
        self.rows.append(row)
        return number

    def arrays(self) -> dict[str, pa.Array]:
        """The columns, one value for each row of the batch."""
        ids = pa.Array.from_buffers(pa.int32(), len(self.ids), [None, pa.py_buffer(self.ids)])
        if _NULL in self.ids:
            ids = pc.replace_with_mask(ids, pc.equal(ids, _NULL), pa.scalar(None, pa.int32()))
        values = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.columns)
        return {name: _spread(name, value, ids) for name, value in zip(self.columns, values, strict=True)}


class Batch:
    """Rows of one row group. `middle` is that of `split.middle_of`, `boot_id` that of the segment.

    `strict` makes sure of each line that it can be written again; without it the caller compares the
    whole."""

    def __init__(self, middle: str, boot_id: str, *, strict: bool = False) -> None:
        self.text = 0
        """Characters of different texts so far."""
        self.times, self.sequences = array("q"), array("q")
        self.processes = Table((*PROCESS, "process_form"))
        self.parents = Table(("parent_exe", "parent_form"))
        self.events = Table((*EVENT, "node", "payload", "ancestry"))
        self.lineages = Table(("lineage",))
        self._middle, self._boot_id, self._strict = middle, boot_id, strict
        self._node = orjson.loads("{" + middle[2:-9] + "}").get("node_name", "") if middle else ""
        self._parent_ids: list[str] = []
        self._ancestries: list[list[str]] = []
        self.starts: list[str | None] = []
        """For each row of `processes` its `start_time`."""
        self.parent_objects: list[dict[str, Any]] = []
        """For each row of `parents` the process."""
        self.lives: list[tuple[str, int, int, int, int]] = []
        """Execs and exits: type, row in this batch, rows in `processes`, `parents` and `events`."""
        self.others: list[tuple[int, dict[str, Any]]] = []
        """Records that were not taken apart, own ones among them, with their row in this batch."""
        self._texts: dict[str, str] = {}
        """JSON of the processes that their columns tell, by exec_id: there is one per image."""
        self._seconds: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.times)

    @property
    def is_full(self) -> bool:
        """Whether the next line belongs to another row group."""
        return len(self.times) >= ROWS_MOST or self.text >= TEXT_MOST

    def add(self, line: str) -> int:
        """Take in a line without its newline (bytes that are no UTF-8 are surrogates in it). Returns the row
        of `processes` that it is about."""
        parts = split(line, self._middle) if self._middle else None
        if parts is None or (self._strict and join(parts, self._middle) != line):
            return self._add_whole(line)
        type_, process_text, parent_text, stamp, number, lineage_text, own, tail = parts
        try:
            process = self.processes.known.get(process_text)
            if process is None:
                process = self._new_process(process_text)
            parent = _NULL if parent_text is None else self._parent(parent_text, process)
            lineage = _NULL
            if lineage_text is not None:
                lineage = self.lineages.known.get(lineage_text, _NULL)
                if lineage < 0:
                    lineage = self._new_lineage(lineage_text)
                tail = LINEAGE + tail
            if type_ == "process_exec":
                event = self._new_exec(own, tail, lineage)
                lineage = _NULL
            else:
                if type_ == "process_exit":
                    own = own.replace(stamp, TIME)
                event = self.events.known.get((type_, own, tail), _NULL)
                if event < 0:
                    event = self._new_event(type_, own, tail)
            time_ns, sequence = self._time(stamp), int(number)
            if type_ in _LIVES:
                self.lives.append((type_, len(self), process, parent, event))
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._add_whole(line)
        return self._put(time_ns, sequence, process, parent, event, lineage)

    def _put(self, time_ns: int, sequence: int, process: int, parent: int, event: int, lineage: int) -> int:
        self.times.append(time_ns)
        self.sequences.append(sequence)
        self.processes.ids.append(process)
        self.parents.ids.append(parent)
        self.events.ids.append(event)
        self.lineages.ids.append(lineage)
        return process

    def _time(self, stamp: str) -> int:
        second = stamp[:20]
        known = self._seconds.get(second)
        if known is None:
            known = self._seconds[second] = parse_time(f"{second}0Z")
        return known + int(stamp[20:29])

    def _new_process(self, text: str) -> int:
        process = orjson.loads(text)
        values = _of_process(process)
        form = process_form(text, process)
        if form is not text and self._texts.setdefault(values[0], text) != text:
            form = text  # there is another one; its columns and those of this one do not mix
        self.text += len(text)
        self.starts.append(process.get("start_time"))
        return self.processes.put(text, (*values, form))

    def _parent(self, text: str, process: int) -> int:
        number = self.parents.known.get(text)
        if number is None:
            parent = orjson.loads(text)
            self.text += len(text)
            self._parent_ids.append(parent["exec_id"])
            self.parent_objects.append(parent)
            form = text[text.index('"', len(_PARENT_HEAD)) + 1 :]
            number = self.parents.put(text, (parent.get("binary"), form))
        if self._parent_ids[number] != self.processes.rows[process][1]:
            raise ValueError("the parent in the event is not that of its process")
        return number

    def _new_exec(self, own: str, tail: str, lineage: int) -> int:
        below = orjson.loads("{" + tail.removeprefix(LINEAGE)[1:-2] + "}")
        if own or "detection" in below:
            raise ValueError("not as our encoder writes an exec")
        self.text += len(tail)
        ancestry = None if lineage < 0 else self._ancestries[lineage]
        values = ("process_exec", below.get("user"), *_NOTHING, self._node, CUT + tail, ancestry)
        self.events.rows.append(values)
        return len(self.events.rows) - 1

    def _new_event(self, type_: str, own: str, tail: str) -> int:
        event = orjson.loads("{" + own[1:].replace(TIME, "") + "}")
        below = orjson.loads("{" + tail.removeprefix(LINEAGE)[1:-2] + "}")
        values = _event_values(flatten({type_: event, "tracehound": below}, ""))
        self.text += len(own) + len(tail)
        return self.events.put((type_, own, tail), (*values, self._node, f"{own}{CUT}{tail}", None))

    def _new_lineage(self, text: str) -> int:
        self._ancestries.append(orjson.loads(f"[{text}]"))
        self.text += len(text)
        return self.lineages.put(text, (text,))

    def _add_whole(self, line: str) -> int:
        """A line as it is: own records, and what somebody else wrote."""
        self.text += len(line)
        raw = line.encode(errors="surrogateescape")
        record = _record(raw)
        row, payload = _row(record, self._boot_id), line
        if raw[:1] in (b",", b"\x03", b"\x04") or b"\0" in raw or not _is_text(line):
            payload = ENCODED + base64.b64encode(raw).decode()
        process = self.processes.put(len(self.processes.rows), (*_process_values(row), None))
        self.starts.append(None)
        if record:
            self.others.append((len(self), record))
        parent = _NULL
        if row[_PARENT_EXE] is not None:
            self._parent_ids.append("")
            self.parent_objects.append({})
            parent = self.parents.put(len(self.parents.rows), (row[_PARENT_EXE], None))
        values = (*_event_values(row), row[_PLACE["node"]], payload, row[_ANCESTRY])
        event = self.events.put(len(self.events.rows), values)
        return self._put(row[0], row[1], process, parent, event, _NULL)

    def table(self) -> pa.Table:
        """All rows as Arrow columns."""
        count = len(self)
        found = {
            "time": _numbers(self.times, pa.timestamp("ns")),
            "sequence": _numbers(self.sequences, pa.int64()),
            "boot_id": pa.DictionaryArray.from_arrays(
                pa.repeat(pa.scalar(0, pa.int32()), count), [self._boot_id]
            ),
        }
        for table in (self.processes, self.parents, self.events, self.lineages):
            found |= table.arrays()
        return pa.table({column.name: found[column.name] for column in SCHEMA_COLUMNS})


def _of_process(process: Record) -> Row:
    """The values of PROCESS, as `flatten` gives them."""
    if "pod" in process:
        values: Row = _process_values(flatten({"process_exec": {"process": process}}, ""))
        return values
    get = process.get
    return (
        process["exec_id"], process["parent_exec_id"], get("pid"), get("uid"), get("auid"), get("binary"),
        get("arguments"), get("cwd"), get("docker"), None, None, None, None,
    )  # fmt: skip


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _record(raw: bytes) -> dict[str, Any]:
    """The parsed line; empty when it is no record."""
    try:
        record = orjson.loads(raw)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _row(record: dict[str, Any], boot_id: str) -> Row:
    """The values of a record; of one that is malformed only those that every row has."""
    try:
        row = flatten(record, boot_id)
    except (ValueError, TypeError, AttributeError):
        row = flatten({}, boot_id)
    return row if isinstance(row[1], int) else (row[0], 0, *row[2:])


def _numbers(values: array[int], kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


_TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "VARCHAR": pa.string(),
    "VARCHAR[]": pa.list_(pa.string()),
}
_KINDS = {column.name: _TYPES.get(column.type) for column in SCHEMA_COLUMNS}


def _spread(name: str, values: Sequence[Any], ids: pa.Array) -> pa.Array:
    """One value per row, of texts as a dictionary whose words are all different."""
    kind = _KINDS[name]
    if kind != pa.string():
        return pa.array(values, kind).take(ids)
    words = pa.array(values, kind).dictionary_encode()
    return pa.DictionaryArray.from_arrays(words.indices.take(ids), words.dictionary)
