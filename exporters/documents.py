# SPDX-License-Identifier: Apache-2.0
"""From lines of the log to documents: filter, field selection and format, as one function per exporter.

Two ways: a line that is sent as it is, and of which nobody asks more than its type and number, is never
parsed. The writer fixes the order of keys in a line (docs/architecture.md), so its ends can be read in place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from agent.log.entry import is_whole, line_test
from agent.log.expand import Expander
from agent.log.records import sequence_of
from agent.log.times import format_time, parse_time
from exporters.base import Document
from exporters.formats import Format, Origin
from exporters.joining import Joining
from exporters.selecting import Selecting

Make = Callable[[bytes, str], Document | None]
"""Line and boot id -> document; None when it is left out. Raises NoRecord."""

_EVENT_END = re.compile(
    rb'"node_name":"([^"\\]*)",(?:"cluster_name":"(?:[^"\\]|\\.)*",)?"time":"([^"]{19}[^"]*Z)",'
    rb'"tracehound":\{"sequence":(\d+)'
)
_OWN = re.compile(rb'\{"tracehound":\{"sequence":(\d+),"(\w+)":')
_OWN_END = re.compile(rb'"node_name":"([^"\\]*)","time":"([^"]{19}[^"]*Z)"\}')


class NoRecord(ValueError):
    """A line that is no record of the log."""


class Clock:
    """Times of the log as wall-clock nanoseconds; neighbours share the work."""

    def __init__(self) -> None:
        self._text, self._ns = b"", 0

    def ns(self, stamp: bytes) -> int:
        """Raises ValueError."""
        if stamp[:19] != self._text:
            self._ns = parse_time(stamp[:19].decode() + ".Z")
            self._text = stamp[:19]
        fraction = stamp[20:-1]
        return self._ns + int(fraction) * 10 ** (9 - len(fraction)) if fraction else self._ns


def raw_maker(selecting: Selecting, joining: Joining | None = None) -> Make:
    """For lines that are sent as they are: nothing is parsed but what gets its pod late."""
    test, clock = line_test(selecting.types), Clock()

    def make(line: bytes, boot_id: str) -> Document | None:
        if test is not None and not test(line):
            return None
        if joining is not None:
            line = joining.join_line(line)
        if line.startswith(b'{"tracehound"'):
            own, end = _OWN.match(line), _OWN_END.match(line, line.rfind(b'"node_name":"'))
            if own and end:
                kind, sequence, node, stamp = own[2].decode(), int(own[1]), end[1].decode(), end[2]
                return Document({}, line, kind, clock.ns(stamp), sequence, boot_id, node, node)
        elif (found := _EVENT_END.match(line, line.rfind(b'"node_name":"'))) and line.endswith(b"}"):
            kind, node = line[2 : line.index(b'"', 2)].decode(), found[1].decode()
            return Document({}, line, kind, clock.ns(found[2]), int(found[3]), boot_id, node, node)
        return _unusual(line, boot_id)

    return make


def _unusual(line: bytes, boot_id: str) -> Document:
    """A line with its keys in another order, or with escapes in the node's name."""
    record = _parse(line)
    return document(record, line, boot_id)


class Parsing:
    """The way that parses: each record once, for filter, fields, format and destination together."""

    def __init__(self, selecting: Selecting, form: Format | None, joining: Joining) -> None:
        """`form`: None sends the line as it is, or what is left of it after field selection."""
        self._test = line_test(selecting.types)
        self._wanted, self._fields = selecting.test(), selecting.fields
        self._form, self._joining = form, joining
        self._learn: Callable[[dict[str, Any]], None] | None = getattr(form, "learn", None)
        self._expander = Expander(32768) if selecting.needs_expansion else None

    @property
    def needs_history(self) -> bool:
        """Whether records before the place where it begins have to be learnt."""
        return self._learn is not None or self._expander is not None

    def learn(self, record: dict[str, Any]) -> None:
        """Takes notice of a record that is not sent."""
        if self._learn is not None:
            self._learn(record)
        if self._expander is not None:
            self._expander.learn(record)

    def make(self, line: bytes, boot_id: str) -> Document | None:
        """See Make."""
        if self._test is not None and not self._test(line) and not self.needs_history:
            if not is_whole(line):
                raise NoRecord
            return None
        line = self._joining.join_line(line)
        record = _parse(line)
        if self._test is not None and not self._test(line):
            self.learn(record)
            return None
        if not self._is_wanted(record):
            if self._learn is not None:
                self._learn(record)
            return None
        chosen: Any = self._fields.select(record) if self._fields else record
        return self._document(chosen, record, line, boot_id)

    def _document(self, chosen: Any, record: Any, line: bytes, boot_id: str) -> Document | None:
        if self._form is None:
            body = line if chosen is record else orjson.dumps(chosen)
            return document(chosen, body, boot_id, record)
        made = self._form(chosen, Origin(boot_id))
        return None if made is None else document(chosen, made, boot_id, record)

    def _is_wanted(self, record: dict[str, Any]) -> bool:
        """Judged in the form that the filter needs, sent in the other one."""
        if self._expander is None:
            return self._wanted(record)
        return self._wanted(self._expander.expand(record, tracehound=True))


def document(
    chosen: dict[str, Any], body: bytes, boot_id: str, record: dict[str, Any] | None = None
) -> Document:
    """A document of a parsed record; `record` is the whole one where fields were selected.

    Raises NoRecord.
    """
    whole = chosen if record is None else record
    try:
        kind = next(iter(whole))
        own = whole["tracehound"]
        if kind == "tracehound":
            kind = next(key for key in own if key != "sequence")
            key = ""
        else:
            process = whole[kind].get("process") or {}
            key = process.get("docker") or process.get("exec_id") or ""
        node = whole.get("node_name", "")
        time_ns = parse_time(whole["time"]) if "time" in whole else 0
        return Document(chosen, body, kind, time_ns, own.get("sequence", 0), boot_id, node, key or node)
    except (KeyError, ValueError, AttributeError, TypeError, StopIteration) as error:
        raise NoRecord(str(error)) from None


def made_document(kind: str, content: dict[str, Any], like: Document, form: Format | None) -> Document:
    """A record that the runner makes itself: it has the time, node, boot and number of `like`.

    A format that has no words for it leaves it as it is: what proves completeness is not left out.
    """
    record = {
        "tracehound": {kind: content},
        "node_name": like.node_name,
        "time": format_time(like.time_ns),
    }
    body = form(record, Origin(like.boot_id)) if form is not None else None
    return like._replace(record=record, body=body or orjson.dumps(record), type=kind, key=like.node_name)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NoRecord(str(error)) from None
    if sequence_of(record) is None:
        raise NoRecord("it has no sequence number")
    return record
