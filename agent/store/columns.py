# SPDX-License-Identifier: Apache-2.0
"""Lines of the log to columns: every text that repeats is kept once, and rows are numbers that name it.

A batch becomes one row group. What it holds is bounded by `is_full`. Needs pyarrow (extra `store`).
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from agent.log.times import parse_time
from agent.store.flat import COLUMNS, Record, event_values, flatten
from agent.store.schema import COLUMNS as SCHEMA_COLUMNS
from agent.store.schema import EVENT, PROCESS
from agent.store.split import (
    CUT,
    ENCODED,
    IMAGE,
    LINEAGE,
    OBJECT_AT,
    PARENT_AT,
    PARENT_KEY,
    PROCESS_KEY,
    STAMP,
    TIME,
    TO_NUMBER,
    ancestry_in,
    join,
    object_end,
    process_form,
    split,
)

ROWS_MOST = 1 << 15
"""Rows of a row group."""
TEXT_MOST = 24 << 20
"""Characters of different texts in a row group: what bounds the memory."""
_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_process_values = itemgetter(*(_PLACE[name] for name in PROCESS))
_event_values = itemgetter(*(_PLACE[name] for name in EVENT))
_ANCESTRY, _PARENT_EXE = _PLACE["ancestry"], _PLACE["parent_exe"]
_NULL = -1
_NOTHING = (None,) * (len(EVENT) - 2)
_EXEC, _EXIT = b"process_exec", b"process_exit"
_LIVES = {_EXEC: _EXEC, _EXIT: _EXIT}
_ID = len('{"exec_id":"')
_PID = b'","pid":'
_ID_AT = len('{"process_exec":{"process":{"exec_id":"')
"""Where an exec_id begins, or before it: no type of an event is shorter."""
_TIME, _LINEAGE, _CUT = TIME.encode(), LINEAGE.encode(), CUT.encode()
_MARKED = _CUT + _LINEAGE

Row = tuple[Any, ...]
Tail = tuple[int, dict[bytes, int], bytes]
"""What follows a number: row in `lineages`, the rows in `events` by the event's own fields, and the rest."""
Beginning = tuple[bytes, int, bytes, dict[bytes, Tail], int, int]
"""A line's first bytes up to the event's own fields, their length, type, tails of the type, rows in
`processes` and `parents`."""


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

    def __init__(self, middle: bytes, boot_id: str, *, strict: bool = False) -> None:
        self.text = 0
        """Bytes of different texts so far."""
        self.times, self.sequences = array("q"), array("q")
        self.processes = Table((*PROCESS, "process_form"))
        self.parents = Table(("parent_exe", "parent_form"))
        self.events = Table((*EVENT, "node", "payload", "ancestry"))
        self.lineages = Table(("lineage",))
        self._middle, self._boot_id, self._strict = middle, boot_id, strict
        self._node = orjson.loads(b"{" + middle[2:-9] + b"}").get("node_name", "") if middle else ""
        self._parent_ids: list[str] = []
        self._ancestries: list[list[str]] = []
        self.starts: list[str | None] = []
        """For each row of `processes` its `start_time`."""
        self.parent_objects: list[dict[str, Any]] = []
        """For each row of `parents` the process."""
        self.lives: list[tuple[bool, int, int, int, int]] = []
        """Execs and exits: whether it is an exec, row in this batch, rows in `processes`, `parents` and
        `events`."""
        self.others: list[tuple[int, dict[str, Any]]] = []
        """Records that were not taken apart, own ones among them, with their row in this batch."""
        self._texts: dict[str, bytes] = {}
        """JSON of the processes that their columns tell, by exec_id: there is one per image."""
        self._images: dict[bytes, tuple[bytes, int]] = {}
        self._parent_images: dict[bytes, tuple[bytes, int]] = {}
        """JSON and row of the last process, and parent, with an exec_id."""
        self._beginnings: dict[bytes, Beginning] = {}
        self._tails: dict[bytes, dict[bytes, Tail]] = {}
        """What follows the number, by type."""
        self._own: dict[tuple[bytes, bytes], dict[bytes, int]] = {}
        """Rows in `events` by the event's own fields, by type and what follows number and ancestry."""
        self._seconds: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.times)

    @property
    def is_full(self) -> bool:
        """Whether the next line belongs to another row group."""
        return len(self.times) >= ROWS_MOST or self.text >= TEXT_MOST

    def take(self, lines: Iterable[bytes]) -> None:
        """Take in lines without their newlines."""
        if not self._middle:
            for line in lines:
                self._add_whole(line)
            return
        beginnings, seconds, middle, skip = self._beginnings, self._seconds, self._middle, len(self._middle)
        add_time, add_number = self.times.append, self.sequences.append
        add_process, add_parent = self.processes.ids.append, self.parents.ids.append
        add_event, add_lineage = self.events.ids.append, self.lineages.ids.append
        for line in lines:
            if self._strict and not self._comes_back(line):
                self._add_whole(line)
                continue
            try:
                begun = beginnings.get(line[: line.find(_PID, _ID_AT)])
                if begun is None or not line.startswith(begun[0]):
                    begun = self._begin(line)
                _, end, kind, tails, process, parent = begun
                at = line.index(middle, end)
                stamp = at + skip
                second = line[stamp : stamp + 20]
                second_ns = seconds.get(second)
                if second_ns is None:
                    second_ns = seconds[second] = parse_time(f"{second.decode()}0Z")
                time_ns = second_ns + int(line[stamp + 20 : stamp + STAMP - 1])
                number_at = stamp + TO_NUMBER
                stop = line.find(b",", number_at)
                if stop < 0:
                    stop = line.index(b"}", number_at)
                sequence = int(line[number_at:stop])
                if kind is _EXEC:
                    event, lineage = self._new_exec(line[end:at], line[stop:]), _NULL
                    self.lives.append((True, len(self.times), process, parent, event))
                else:
                    own, tail = line[end:at], line[stop:]
                    told = tails.get(tail)
                    if told is None:
                        told = self._new_tail(kind, tail)
                    lineage, events, rest = told
                    if kind is _EXIT:
                        own = own.replace(line[stamp : stamp + STAMP], _TIME)
                    known = events.get(own)
                    event = self._new_event(kind, own, rest, events) if known is None else known
                    if kind is _EXIT:
                        self.lives.append((False, len(self.times), process, parent, event))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._add_whole(line)
                continue
            add_time(time_ns)
            add_number(sequence)
            add_process(process)
            add_parent(parent)
            add_event(event)
            add_lineage(lineage)

    def _comes_back(self, line: bytes) -> bool:
        parts = split(line, self._middle)
        return parts is not None and join(parts, self._middle) == line

    def _begin(self, line: bytes) -> Beginning:
        """What a line's beginning tells. Kept for the types of which a process has many."""
        at = line.index(PROCESS_KEY, 3, 64)
        process, end = self._image(line, at + OBJECT_AT)
        parent = _NULL
        if line.startswith(PARENT_KEY, end):
            parent, end = self._parent(line, end + PARENT_AT, process)
        kind = line[2:at]
        tails = self._tails.get(kind)
        if tails is None:
            tails = self._tails[kind] = {}
        known = _LIVES.get(kind)
        if known is not None:
            return b"", end, known, tails, process, parent
        begun = (line[:end], end, kind, tails, process, parent)
        self.text += end
        self._beginnings[line[: line.find(_PID, _ID_AT)]] = begun
        return begun

    def _image(self, line: bytes, at: int) -> tuple[int, int]:
        """The row of the process whose JSON begins there, and where that ends."""
        exec_id = line[at + _ID : line.find(b'"', at + _ID)]
        known = self._images.get(exec_id)
        if known is not None and line.startswith(known[0], at):
            return known[1], at + len(known[0])
        end = object_end(line, at)
        json = line[at:end]
        number = self.processes.known.get(json)
        if number is None:
            number = self._new_process(json)
        self._images[exec_id] = json, number
        return number, end

    def _new_process(self, json: bytes) -> int:
        text = json.decode()
        found = IMAGE.fullmatch(text)
        if found is not None:
            (
                exec_id, pid, uid, cwd, binary, arguments, before, start, auid, docker, parent_id, after,
            ) = found.groups()  # fmt: skip
            row: Row = (
                exec_id, parent_id, int(pid), int(uid), int(auid), binary, arguments, cwd, docker, None, None,
                None, None, f"{before}{CUT}{after}",
            )  # fmt: skip
        else:
            process = orjson.loads(json)
            start = process.get("start_time")
            row = (*_of_process(process), process_form(text, process))
        if row[-1] is not text and self._texts.setdefault(row[0], json) != json:
            row = (*row[:-1], text)  # there is another one; its columns and those of this one do not mix
        self.text += len(json)
        self.starts.append(start)
        return self.processes.put(json, row)

    def _parent(self, line: bytes, at: int, process: int) -> tuple[int, int]:
        """The row of the parent whose JSON begins there, and where that ends."""
        exec_id = line[at + _ID : line.find(b'"', at + _ID)]
        known = self._parent_images.get(exec_id)
        if known is not None and line.startswith(known[0], at):
            number, end = known[1], at + len(known[0])
        else:
            end = object_end(line, at)
            number = self._parent_row(line[at:end])
            self._parent_images[exec_id] = line[at:end], number
        if self._parent_ids[number] != self.processes.rows[process][1]:
            raise ValueError("the parent in the event is not that of its process")
        return number, end

    def _parent_row(self, json: bytes) -> int:
        number = self.parents.known.get(json)
        if number is None:
            parent = orjson.loads(json)
            self.text += len(json)
            self._parent_ids.append(parent["exec_id"])
            self.parent_objects.append(parent)
            form = json[json.index(b'"', _ID) + 1 :]
            number = self.parents.put(json, (parent.get("binary"), form))
        return number

    def _new_tail(self, kind: bytes, tail: bytes) -> Tail:
        ancestry, rest = ancestry_in(tail)
        self.text += len(tail)
        lineage = _NULL
        if ancestry is not None:
            lineage, rest = self._lineage(ancestry), _LINEAGE + rest
        told = self._tails[kind][tail] = (lineage, self._own.setdefault((kind, rest), {}), rest)
        return told

    def _lineage(self, text: bytes) -> int:
        number = self.lineages.known.get(text)
        if number is None:
            self._ancestries.append(orjson.loads(b"[" + text + b"]"))
            self.text += len(text)
            number = self.lineages.put(text, (text,))
        return number

    def _new_exec(self, own: bytes, tail: bytes) -> int:
        ancestry, rest = ancestry_in(tail)
        below = orjson.loads(b"{" + rest[1:-2] + b"}")
        if own or "detection" in below:
            raise ValueError("not as our encoder writes an exec")
        self.text += len(rest)
        ids, mark = (None, _CUT) if ancestry is None else (self._ancestries[self._lineage(ancestry)], _MARKED)
        self.events.rows.append(("process_exec", below.get("user"), *_NOTHING, self._node, mark + rest, ids))
        return len(self.events.rows) - 1

    def _new_event(self, kind: bytes, own: bytes, tail: bytes, events: dict[bytes, int]) -> int:
        type_ = kind.decode()
        event = orjson.loads(b"{" + own[1:].replace(_TIME, b"") + b"}")
        below = orjson.loads(b"{" + tail.removeprefix(_LINEAGE)[1:-2] + b"}")
        values = event_values(type_, event, below)
        self.text += len(own) + len(tail)
        events[own] = number = len(self.events.rows)
        self.events.rows.append((*values, self._node, own + _CUT + tail, None))
        return number

    def _add_whole(self, raw: bytes) -> None:
        """A line as it is: own records, and what somebody else wrote."""
        self.text += len(raw)
        record = _record(raw)
        row, payload = _row(record, self._boot_id), raw
        if raw[:1] in (b",", b"\x03", b"\x04") or b"\0" in raw or not _is_text(raw):
            payload = ENCODED.encode() + base64.b64encode(raw)
        process = self.processes.put(len(self.processes.rows), (*_process_values(row), None))
        self.starts.append(None)
        if record:
            self.others.append((len(self), record))
        parent = _NULL
        if row[_PARENT_EXE] is not None:
            self._parent_ids.append("")
            self.parent_objects.append({})
            parent = self.parents.put(len(self.parents.rows), (row[_PARENT_EXE], None))
        self.events.rows.append((*_event_values(row), row[_PLACE["node"]], payload, row[_ANCESTRY]))
        self.times.append(row[0])
        self.sequences.append(row[1])
        self.processes.ids.append(process)
        self.parents.ids.append(parent)
        self.events.ids.append(len(self.events.rows) - 1)
        self.lineages.ids.append(_NULL)

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


def _is_text(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
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
