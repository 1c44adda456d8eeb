# SPDX-License-Identifier: Apache-2.0
"""Rows of the store to their lines, column by column: what `agent.store.rebuild` does for single rows.

What can be done once per different text is done before that is spread over the rows, so that a line costs
little more than the copying of its bytes. Rows that are not as the compactor writes them are left to
`agent.store.rebuild`. Needs pyarrow (extra `store`).
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from orjson import dumps

from agent.store.schema import REBUILD
from agent.store.split import CUT, ENCODED, LINEAGE, SEQUENCE, TIME

BLOCK_BYTES = 4 << 20
"""About so much is written at once."""
_ROWS_MOST = 4096
_FIXED = 700
"""Bytes of a line besides its longest texts, at most: names, numbers, ids."""
_TO_ESCAPE = r'[\x00-\x1f"\\]'
"""What JSON escapes in texts (RFC 8259, section 7); orjson escapes nothing else."""
_BINARY = pa.binary()
_OF_PROCESS = (
    "exec_id",
    "process_form",
    "pid",
    "uid",
    "cwd",
    "exe",
    "args",
    "auid",
    "container",
    "parent_exec_id",
)

Words = tuple[pa.Array, pa.Array]
"""Different texts, and for each row the place of its own; null: none, which is written as nothing."""
Part = Any
"""An array, a scalar (the same in all rows) or Words; pyarrow has no types."""
Columns = Mapping[str, pa.Array]


class Odd(Exception):
    """The rows are not as the compactor writes them."""


class Lines:
    """The lines of a row group. Raises Odd when they have to be made one by one."""

    def __init__(self, table: pa.Table, middle: bytes) -> None:
        if not len(table) or not set(REBUILD) <= set(table.column_names):
            raise Odd
        columns = {name: table.column(name).combine_chunks() for name in REBUILD}
        self._count = len(table)
        try:
            self._parts = [*_head(columns), *_tail(columns, middle)]
            self._whole = _whole_lines(columns["payload"])
        except (pa.ArrowException, AttributeError, IndexError) as error:
            raise Odd from error
        longest = sum(_longest(part[0]) for part in self._parts if isinstance(part, tuple))
        longest += _FIXED
        self._rows = max(16, min(_ROWS_MOST, BLOCK_BYTES // longest))

    def blocks(self) -> Iterator[pa.Buffer]:
        """The bytes of all lines in order, each with its newline."""
        for at in range(0, self._count, self._rows):
            yield _bytes_of(self._slice(at, min(self._rows, self._count - at)))

    def _slice(self, at: int, count: int) -> pa.Array:
        lines = joined([_part(part, at, count) for part in self._parts])
        words, places = self._whole
        places = places.slice(at, count)
        if places.null_count == count:
            return lines
        return pc.coalesce(words.take(places), lines)


def _part(part: Part, at: int, count: int) -> pa.Array | pa.Scalar:
    if isinstance(part, tuple):
        return part[0].take(part[1].slice(at, count))
    return part.slice(at, count) if isinstance(part, pa.Array) else part


def _bytes_of(lines: pa.Array) -> pa.Buffer:
    """The data of a binary array that begins at its first element."""
    _, offsets, data = lines.buffers()
    ends = memoryview(offsets).cast("i")
    return data.slice(ends[lines.offset], ends[lines.offset + len(lines)] - ends[lines.offset])


def _longest(words: pa.Array) -> int:
    found = pc.max(pc.binary_length(words)).as_py() if len(words) else 0
    return found or 0


def joined(parts: list[pa.Array | pa.Scalar]) -> pa.Array:
    """The parts of each row one behind the other; null is nothing."""
    end = pa.scalar(b"", _BINARY)
    return pc.binary_join_element_wise(*parts, end, null_handling="replace", null_replacement=b"")


def _fixed(text: str) -> pa.Scalar:
    return pa.scalar(text.encode(), _BINARY)


def _words(column: pa.Array) -> Words:
    """Raises AttributeError when it is no dictionary."""
    return column.dictionary.cast(_BINARY), column.indices


def _around(before: str, words: Words, after: str = "") -> Words:
    """The same with something before and behind each."""
    return joined([_fixed(before), words[0], _fixed(after)]), words[1]


def _numbers(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()).cast(_BINARY)


def quoted(words: pa.Array) -> pa.Array:
    """Texts as they stand between the quotes of JSON."""
    special = pc.match_substring_regex(words, _TO_ESCAPE)
    if not pc.any(special).as_py():
        return words
    escaped = [dumps(word)[1:-1] for word in words.filter(special).to_pylist()]
    return pc.replace_with_mask(words.cast(_BINARY), special, pa.array(escaped, _BINARY))


def _member(name: str, column: pa.Array) -> Words:
    """A text of a process that may be absent."""
    return _around(f',"{name}":"', (quoted(column.dictionary).cast(_BINARY), column.indices), '"')


def _process_parts(columns: Columns, before: Part, after: Part) -> list[Part]:
    return [
        _around('{"exec_id":"', _words(columns["exec_id"]), '","pid":'),
        _numbers(columns["pid"]),
        _fixed(',"uid":'),
        _numbers(columns["uid"]),
        _member("cwd", columns["cwd"]),
        _member("binary", columns["exe"]),
        _member("arguments", columns["args"]),
        before,
        _fixed(',"auid":'),
        _numbers(columns["auid"]),
        _member("docker", columns["container"]),
        _around(',"parent_exec_id":"', _words(columns["parent_exec_id"]), '","tid":'),
        after,
    ]


def process_texts(columns: Columns, before: Part, after: Part) -> pa.Array:
    """The JSON of each row's process; `before` and `after` are the two halves of its form."""
    count = len(columns["pid"])
    return joined([_part(part, 0, count) for part in _process_parts(columns, before, after)])


def _head(columns: Columns) -> list[Part]:
    """From the type to the end of the parent."""
    return [_around('{"', _words(columns["type"]), '":{"process":'), _processes(columns), *_parent(columns)]


def _processes(columns: Columns) -> Words:
    """Made once for each: exec_id and form tell the processes of a row group apart, by the compactor."""
    rows, places = _different(columns["exec_id"], columns["process_form"])
    single = {name: columns[name].take(rows) for name in _OF_PROCESS}
    form, at = _words(single["process_form"])
    is_text = pc.starts_with(form, b"{")
    before, after = _halves(form, is_text)
    texts = process_texts(single, (before, at), (after, at))
    if pc.any(is_text).as_py():
        texts = pc.if_else(pc.fill_null(is_text.take(at), False), form.take(at), texts)
    return texts, places


def _different(first: pa.Array, second: pa.Array) -> tuple[pa.Array, pa.Array]:
    """The first rows of all pairs of words, and for each row the place of its pair there."""
    width = pa.scalar(len(second.dictionary) + 1, pa.int64())
    places = [pc.fill_null(column.indices.cast(pa.int64()), -1) for column in (first, second)]
    pairs = pc.add(pc.multiply(places[0], width), places[1]).dictionary_encode().indices
    highest = pc.cumulative_max(pairs)  # they are numbered as they come
    is_new = pc.not_equal(highest.slice(1), highest.slice(0, len(pairs) - 1))
    later = pc.add(pc.indices_nonzero(is_new), pa.scalar(1, pa.uint64()))
    rows = pa.concat_arrays([pa.array([0], pa.uint64()), later])
    return rows, pairs


def _halves(words: pa.Array, but: pa.Array) -> tuple[pa.Array, pa.Array]:
    """What stands before and behind the CUT of each word; nothing of those that are excepted. Raises Odd
    where there is none."""
    return _cut(pc.if_else(but, CUT.encode(), words), CUT)


def _cut(words: pa.Array, mark: str) -> tuple[pa.Array, pa.Array]:
    """What stands before and behind the first mark of each word. Raises Odd where there is none."""
    pieces = pc.split_pattern(words, mark.encode(), max_splits=1)
    if pc.any(pc.less(pc.list_value_length(pieces), 2)).as_py():
        raise Odd
    return pc.list_element(pieces, 0), pc.list_element(pieces, 1)


def _parent(columns: Columns) -> list[Part]:
    form, places = _words(columns["parent_form"])
    ids, own = _words(columns["parent_exec_id"])
    if places.null_count:
        own = pc.if_else(pc.is_valid(places), own, pa.scalar(None, own.type))
    return [_around(',"parent":{"exec_id":"', (ids, own), '"'), (form, places)]


def _tail(columns: Columns, middle: bytes) -> list[Part]:
    """From the event's own fields on."""
    payload, places = _words(columns["payload"])
    own, behind = _halves(payload, pc.invert(is_taken_apart(payload)))
    has_lineage = pc.starts_with(behind, LINEAGE.encode())
    rest = pc.if_else(
        has_lineage, pc.replace_substring(behind, LINEAGE.encode(), b"", max_replacements=1), behind
    )
    stamps = _stamps(columns["time"])
    return [
        *_own(own, places, stamps),
        pa.scalar(middle, _BINARY),
        stamps,
        _fixed(SEQUENCE),
        _numbers(columns["sequence"]),
        *_ancestry(columns, has_lineage.take(places)),
        _around("", (rest, places), "\n"),
    ]


def is_taken_apart(payload: pa.Array) -> pa.Array:
    """Of which payloads lines are made; the others are the line."""
    return pc.or_(pc.starts_with(payload, b","), pc.starts_with(payload, CUT.encode()))


def _own(own: pa.Array, places: pa.Array, stamps: pa.Array) -> list[Part]:
    """An event's own fields, with its time where they have a mark. Raises Odd where there are two marks."""
    marks = pc.count_substring(own, TIME.encode())
    most = pc.max(marks).as_py()
    if not most:
        return [(own, places)]
    if most > 1:
        raise Odd
    has_time = pc.equal(marks, 1)
    before, after = _cut(pc.if_else(has_time, own, joined([own, _fixed(TIME)])), TIME)
    between = pc.if_else(pc.fill_null(has_time.take(places), False), stamps, pa.scalar(b"", _BINARY))
    return [(before, places), between, (after, places)]


def _ancestry(columns: Columns, wanted: pa.Array) -> list[Part]:
    """The exec_ids upwards where they are wanted: of execs from their list, of others as they stood in the
    line. Raises Odd where neither is there."""
    ids, (lineage, places) = columns["ancestry"], _words(columns["lineage"])
    is_exec = pc.equal(columns["type"].cast(pa.string()), "process_exec")
    listed = pc.and_(pc.and_(is_exec, pc.is_valid(ids)), wanted)
    stood = pc.and_not(wanted, listed)
    if pc.any(pc.and_(stood, pc.is_null(places))).as_py():
        raise Odd
    lists = ids.filter(listed)
    texts = joined([_fixed(',"ancestry":["'), pc.binary_join(lists, '","').cast(_BINARY), _fixed('"]')])
    empty = pc.equal(pc.list_value_length(lists), 0)
    texts = pc.if_else(empty, pa.scalar(b',"ancestry":[]', _BINARY), texts)
    counted = pc.subtract(pc.cumulative_sum(listed.cast(pa.int32())), 1)
    return [
        (texts, _where(listed, counted)),
        _around(',"ancestry":[', (lineage, _where(stood, places)), "]"),
    ]


def _where(mask: pa.Array, places: pa.Array) -> pa.Array:
    return pc.if_else(mask, places, pa.scalar(None, places.type))


def _stamps(column: pa.Array) -> pa.Array:
    """Times as they stand in the log."""
    texts = pc.utf8_replace_slice(column.cast(pa.string()), 10, 11, "T")
    return joined([texts.cast(_BINARY), _fixed("Z")])


def _whole_lines(column: pa.Array) -> Words:
    """Of rows whose payload is the line: that, with its newline."""
    payload, places = _words(column)
    is_line = pc.invert(is_taken_apart(payload))
    if places.null_count:
        raise Odd
    if not pc.any(is_line).as_py():
        return payload, pa.nulls(len(places), places.type)
    lines = [_line(word) for word in payload.filter(is_line).to_pylist()]
    made = pc.replace_with_mask(pa.nulls(len(payload), _BINARY), is_line, pa.array(lines, _BINARY))
    return made, pc.if_else(is_line.take(places), places, pa.scalar(None, places.type))


def _line(payload: bytes) -> bytes:
    if payload.startswith(ENCODED.encode()):
        payload = base64.b64decode(payload[1:])
    return payload + b"\n"
