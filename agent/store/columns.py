# SPDX-License-Identifier: Apache-2.0
"""Lines of the log to columns: every text that repeats is kept once, and rows are numbers that name it.

A batch becomes one row group. What it holds is bounded by `is_full`. A line is only cut here, into as few
pieces as can be; what these say is found for all of them at once, in `table`. Needs pyarrow (extra `store`).
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from agent.store.arrows import named, numbers, places, spread, stamps_ns
from agent.store.events import EXEC, WHOLE, Events
from agent.store.flat import COLUMNS, flatten
from agent.store.images import images
from agent.store.proof import comes_back, is_text
from agent.store.schema import COLUMNS as SCHEMA_COLUMNS
from agent.store.schema import EVENT, PROCESS
from agent.store.split import (
    ANCESTRY,
    CUT,
    ENCODED,
    LINEAGE,
    OBJECT_AT,
    PARENT_AT,
    PARENT_KEY,
    PROCESS_KEY,
    STAMP,
    TIME,
    TO_NUMBER,
    ancestry_in,
    object_end,
)

ROWS_MOST = 1 << 15
"""Rows of a row group."""
TEXT_MOST = 24 << 20
"""Characters of different texts in a row group: what bounds the memory."""
_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_process_values = itemgetter(*(_PLACE[name] for name in PROCESS))
_event_values = itemgetter(*(_PLACE[name] for name in (*EVENT, "node")))
_ANCESTRY, _PARENT_EXE = _PLACE["ancestry"], _PLACE["parent_exe"]
_NULL = -1
_LARGEST = 1 << 63
_EXEC_HEAD = b'{"process_exec":{"process":{"exec_id":"'
_EXIT_HEAD = b'{"process_exit":{"process":{"exec_id":"'
_ID_AT = len(_EXEC_HEAD)
"""Where an exec_id begins, or before it: no type of an event is shorter."""
_OBJECT = len('{"process_exec":{"process":')
_ID = len('{"exec_id":"')
_LISTED = len(ANCESTRY)
_PID = b'","pid":'
_ABOVE = b'"parent_exec_id":"'
_CUT, _LINEAGE, _TIME = CUT.encode(), LINEAGE.encode(), TIME.encode()
_MARKED = _CUT + _LINEAGE
_NO_TIME = b"1970-01-01T00:00:00.000000000Z"

Row = tuple[Any, ...]
Tail = tuple[int, dict[bytes, int], bytes]
"""What follows a number: row in the lineages, the events by their own fields, and the rest."""
Beginning = tuple[bytes, int, dict[bytes, Tail], int, int, bytes]
"""A line's first bytes up to the event's own fields, their length, tails of its type, rows of process and
parent, type."""


class Batch:
    """Rows of one row group. `middle` is that of `split.middle_of`, `boot_id` that of the segment.

    `strict` makes sure of each line that it can be written again; without it the caller compares the
    whole."""

    def __init__(self, middle: bytes, boot_id: str, *, strict: bool = False) -> None:
        self.text = 0
        """Bytes of different texts so far."""
        self.times, self.sequences = array("q"), array("q")
        self.process_ids, self.parent_ids, self.event_ids, self._lineage_ids = (array("i") for _ in range(4))
        """Of each row; -1: none."""
        self.others: list[tuple[int, dict[str, Any]]] = []
        """Records that were not taken apart, own ones among them, with their row in this batch."""
        self.parent_objects: list[dict[str, Any]] = []
        """For each number of a parent the process."""
        self._middle, self._boot_id, self._strict = middle, boot_id, strict
        node = orjson.loads(b"{" + middle[2:-9] + b"}").get("node_name", "") if middle else ""
        self.events = Events(node)
        self._jsons: list[bytes] = []
        self._above: list[bytes] = []
        """For each of these its parent's exec_id."""
        self._others: dict[bytes, int] = {}
        """Numbers of those that share their exec_id, by their JSON."""
        self._images: dict[bytes, tuple[bytes, int, int]] = {}
        """Of the last process with an exec_id: its JSON, the length of that, its number."""
        self._parents: list[tuple[str | None, bytes | None]] = []
        self._parent_numbers: dict[bytes, int] = {}
        self._parent_images: dict[bytes, tuple[bytes, int, int, bytes]] = {}
        """The same of parents, and the exec_id."""
        self._lineages: dict[bytes, int] = {}
        self._lists: list[tuple[bytes | None, list[str]]] = []
        """Ancestries, as they stand in lines and as ids."""
        self._beginnings: dict[bytes, Beginning] = {}
        self._tails: dict[bytes, dict[bytes, Tail]] = {}
        """What follows the number, by type."""
        self._own: dict[tuple[bytes, bytes], dict[bytes, int]] = {}
        """Events by their own fields, by type and what follows number and ancestry."""
        self._whole: list[tuple[int, int, Row]] = []
        """Row, time and values of process of lines that were not taken apart."""
        self._stamps: list[bytes] = []

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def is_full(self) -> bool:
        """Whether the next line belongs to another row group."""
        return len(self.sequences) >= ROWS_MOST or self.text + self.events.text >= TEXT_MOST

    def take(self, lines: Sequence[bytes]) -> None:
        """Take in lines without their newlines."""
        begin, odd, others = len(self), len(self._whole), len(self.others)
        self._cut(lines, self._strict)
        try:
            self._date(odd)
        except ValueError:
            for ids in (self.sequences, self.process_ids, self.parent_ids, self.event_ids, self._lineage_ids):
                del ids[begin:]
            del self._whole[odd:], self.others[others:], self._stamps[:]
            self._cut(lines, True)
            self._date(odd)

    def _date(self, odd: int) -> None:
        """The times of the rows that were added. Raises ValueError when one is none."""
        self.times.frombytes(stamps_ns(self._stamps))
        for row, time_ns, _ in self._whole[odd:]:
            self.times[row] = time_ns
        self._stamps.clear()

    def _cut(self, lines: Iterable[bytes], strict: bool) -> None:
        if not self._middle:
            for line in lines:
                self._add_whole(line)
            return
        images, parents, beginnings, above = self._images, self._parent_images, self._beginnings, self._above
        lineages, execs, middle, skip = self._lineages, self.events.execs, self._middle, len(self._middle)
        exits = self._tails.setdefault(b"process_exit", {})
        add_stamp, add_number, add_event = self._stamps.append, self.sequences.append, self.event_ids.append
        add_process, add_parent = self.process_ids.append, self.parent_ids.append
        add_lineage = self._lineage_ids.append
        for line in lines:
            if (strict and not comes_back(line, middle)) or not (line.isascii() or is_text(line)):
                self._add_whole(line)
                continue
            try:
                is_exec = line.startswith(_EXEC_HEAD)
                if is_exec or line.startswith(_EXIT_HEAD):
                    exec_id = line[_ID_AT : line.find(b'"', _ID_AT)]
                    image = images.get(exec_id)
                    if image is None or not line.startswith(image[0], _OBJECT):
                        image = self._image(line, _OBJECT, exec_id)
                    _, end, process = image
                    end += _OBJECT
                    parent = _NULL
                    if line.startswith(PARENT_KEY, end):
                        begin = end + PARENT_AT
                        known = parents.get(line[begin + _ID : line.find(b'"', begin + _ID)])
                        if known is None or not line.startswith(known[0], begin):
                            known = self._parent(line, begin)
                        _, end, parent, parent_id = known
                        end += begin
                        if parent_id != above[process]:
                            raise ValueError("the parent in the event is not that of its process")
                    kind, tails = b"process_exit", exits
                else:
                    begun = beginnings.get(line[: line.find(_PID, _ID_AT)])
                    if begun is None or not line.startswith(begun[0]):
                        begun = self._begin(line)
                    _, end, tails, process, parent, kind = begun
                at = end if is_exec else line.index(middle, end)
                stamp = at + skip
                number_at = stamp + TO_NUMBER
                stop = line.find(b",", number_at)
                if stop < 0:
                    stop = line.index(b"}", number_at)
                sequence = int(line[number_at:stop])
                if is_exec:
                    if not line.startswith(middle, at):
                        raise ValueError("an exec has no fields of its own")
                    lineage = _NULL
                    if line.startswith(ANCESTRY, stop):
                        close = line.index(b"]", stop)
                        text = line[stop + _LISTED : close]
                        found = lineages.get(text)
                        lineage = self._lineage(text) if found is None else found
                        payload = _MARKED + line[close + 1 :]
                    else:
                        payload = _CUT + line[stop:]
                    event = execs.get(payload)
                    if event is None:
                        event = self.events.new_exec(payload)
                else:
                    own, tail = line[end:at], line[stop:]
                    told = tails.get(tail)
                    if told is None:
                        told = self._new_tail(kind, tail)
                    lineage, events, rest = told
                    if tails is exits:
                        own = own.replace(line[stamp : stamp + STAMP], _TIME)
                    event = events.get(own)
                    if event is None:
                        event = events[own] = self.events.new(kind, own, rest)
                add_number(sequence)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                self._add_whole(line)
                continue
            add_stamp(line[stamp : stamp + STAMP])
            add_process(process)
            add_parent(parent)
            add_event(event)
            add_lineage(lineage)

    def _begin(self, line: bytes) -> Beginning:
        """What a line's beginning tells; kept, for a process has many events."""
        at = line.index(PROCESS_KEY, 3, 64)
        begin = at + OBJECT_AT
        _, end, process = self._image(line, begin, line[begin + _ID : line.index(b'"', begin + _ID)])
        end += begin
        parent = _NULL
        if line.startswith(PARENT_KEY, end):
            _, size, parent, parent_id = self._parent(line, end + PARENT_AT)
            end += PARENT_AT + size
            if parent_id != self._above[process]:
                raise ValueError("the parent in the event is not that of its process")
        kind = line[2:at]
        begun = (line[:end], end, self._tails.setdefault(kind, {}), process, parent, kind)
        self.text += end
        self._beginnings[line[: line.find(_PID, _ID_AT)]] = begun
        return begun

    def _image(self, line: bytes, at: int, exec_id: bytes) -> tuple[bytes, int, int]:
        """JSON, its length and the number of the process whose JSON begins there."""
        json = line[at : object_end(line, at)]
        last = self._images.get(exec_id)
        number = len(self._jsons) if last is None else self._other(json, last)
        if number == len(self._jsons):
            above = json.rindex(_ABOVE) + len(_ABOVE)
            self._above.append(json[above : json.index(b'"', above)])
            self._jsons.append(json)
            self.text += len(json)
        image = self._images[exec_id] = (json, len(json), number)
        return image

    def _other(self, json: bytes, last: tuple[bytes, int, int]) -> int:
        """The number of a process object whose exec_id another one had before."""
        self._others.setdefault(last[0], last[2])
        return self._others.setdefault(json, len(self._jsons))

    def _parent(self, line: bytes, at: int) -> tuple[bytes, int, int, bytes]:
        """The same of a parent, and its exec_id."""
        json = line[at : object_end(line, at)]
        close = json.index(b'"', _ID)
        number = self._parent_numbers.get(json)
        if number is None:
            parent = orjson.loads(json)
            number = self._put_parent(parent.get("binary"), json[close + 1 :], parent)
            self._parent_numbers[json] = number
            self.text += len(json)
        image = self._parent_images[json[_ID:close]] = (json, len(json), number, json[_ID:close])
        return image

    def _put_parent(self, binary: str | None, form: bytes | None, parent: dict[str, Any]) -> int:
        self._parents.append((binary, form))
        self.parent_objects.append(parent)
        return len(self._parents) - 1

    def _new_tail(self, kind: bytes, tail: bytes) -> Tail:
        ancestry, rest = ancestry_in(tail)
        self.text += len(tail)
        lineage = _NULL
        if ancestry is not None:
            lineage, rest = self._lineage(ancestry), _LINEAGE + rest
        told = self._tails[kind][tail] = (lineage, self._own.setdefault((kind, rest), {}), rest)
        return told

    def _lineage(self, text: bytes) -> int:
        number = self._lineages.get(text)
        if number is None:
            self.text += len(text)
            number = self._lineages[text] = len(self._lists)
            self._lists.append((text, orjson.loads(b"[" + text + b"]")))
        return number

    def _add_whole(self, raw: bytes) -> None:
        """A line as it is: own records, and what somebody else wrote."""
        self.text += len(raw)
        record = _record(raw)
        row, payload = _row(record, self._boot_id), raw
        if raw[:1] in (b",", b"\x03", b"\x04") or b"\0" in raw or not is_text(raw):
            payload = ENCODED.encode() + base64.b64encode(raw)
        if record:
            self.others.append((len(self), record))
        self._whole.append((len(self), row[0], _process_values(row)))
        lineage = _NULL
        if row[_ANCESTRY] is not None:
            lineage = len(self._lists)
            self._lists.append((None, row[_ANCESTRY]))
        parent = _NULL if row[_PARENT_EXE] is None else self._put_parent(row[_PARENT_EXE], None, {})
        self._stamps.append(_NO_TIME)
        self.sequences.append(row[1])
        self.process_ids.append(_NULL)
        self.parent_ids.append(parent)
        self.event_ids.append(self.events.whole(_event_values(row), payload))
        self._lineage_ids.append(lineage)

    @cached_property
    def images(self) -> dict[str, pa.Array]:
        """The columns of each process, and its `start_time`. Ask when all lines are there."""
        return images(self._jsons, self._above)

    def table(self) -> pa.Table:
        """All rows as Arrow columns."""
        count = len(self)
        found = {
            "time": numbers(self.times, pa.timestamp("ns")),
            "sequence": numbers(self.sequences, pa.int64()),
            "boot_id": pa.DictionaryArray.from_arrays(
                pa.repeat(pa.scalar(0, pa.int32()), count), [self._boot_id]
            ),
        }
        found |= self._of_processes() | self._of_parents() | self._of_lineages()
        events = numbers(self.event_ids, pa.int32())
        found |= {name: spread(values, events) for name, values in self.events.columns().items()}
        return pa.table({column.name: found[column.name] for column in SCHEMA_COLUMNS})

    def _of_processes(self) -> dict[str, pa.Array]:
        """Those of lines that were not taken apart stand behind the others."""
        ids, first = array("i", self.process_ids), len(self._jsons)
        for number, (row, _, _) in enumerate(self._whole, first):
            ids[row] = number
        at = numbers(ids, pa.int32())
        rows = zip(*(values for _, _, values in self._whole), strict=True) if self._whole else ()
        more = dict(zip(PROCESS, (list(value) for value in rows), strict=False))
        more["process_form"] = [None] * len(self._whole)
        found = {}
        for name in (*PROCESS, "process_form"):
            values = self.images[name]
            if self._whole:
                values = pa.concat_arrays([values, named(name, more[name])])
            found[name] = spread(values, at)
        return found

    def _of_parents(self) -> dict[str, pa.Array]:
        at = places(self.parent_ids)
        binaries, forms = zip(*self._parents, strict=True) if self._parents else ((), ())
        texts = pa.array(forms, pa.binary()).cast(pa.string()).dictionary_encode()
        return {"parent_exe": spread(named("parent_exe", binaries), at), "parent_form": spread(texts, at)}

    def _of_lineages(self) -> dict[str, pa.Array]:
        """Ancestries of execs are lists, those of others stay as they stood in the line."""
        kinds = pa.array(self.events.kinds, pa.uint8()).take(numbers(self.event_ids, pa.int32()))
        at, none = places(self._lineage_ids), pa.scalar(None, pa.int32())
        is_list = pc.or_(pc.equal(kinds, EXEC), pc.equal(kinds, WHOLE))
        texts, lists = zip(*self._lists, strict=True) if self._lists else ((), ())
        words = pa.array(texts, pa.binary()).cast(pa.string()).dictionary_encode()
        return {
            "ancestry": named("ancestry", lists).take(pc.if_else(is_list, at, none)),
            "lineage": spread(words, pc.if_else(is_list, none, at)),
        }


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
    numbers = (value if isinstance(value, int) and 0 <= value < _LARGEST else 0 for value in row[:2])
    return (*numbers, *row[2:])
