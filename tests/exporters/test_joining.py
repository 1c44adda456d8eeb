# SPDX-License-Identifier: Apache-2.0
"""Exporters get events with the pod that became known behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from agent.log.entry import Entry
from agent.log.tail import Chunk
from exporters.documents import Parsing, raw_maker
from exporters.joining import JoinedSource, Joining
from exporters.selecting import Selecting, check_filter
from tests.agent.log.test_joining import event, update


class Pieces:
    """A source with pieces that a test adds."""

    def __init__(self) -> None:
        self.next: list[Chunk | Entry] = []
        self.closed = False

    def add(self, *lines: bytes) -> None:
        self.next.append(Chunk("s", 0, list(lines), "boot"))

    def chunks(self) -> Iterator[Chunk | Entry]:
        while self.next:
            yield self.next.pop(0)

    def close(self) -> None:
        self.closed = True


def lines(source: JoinedSource) -> list[bytes]:
    return [line for piece in source.chunks() if isinstance(piece, Chunk) for line in piece.lines]


def test_events_wait_for_their_pod_and_come_in_order() -> None:
    pieces, exec_, exit_ = Pieces(), event(), event(kind="process_exit")
    source = JoinedSource(pieces, Joining(2))
    pieces.add(exec_)
    pieces.add(exit_)
    assert lines(source) == [] and source.is_holding
    told = update()
    pieces.add(told)
    assert lines(source) == [exec_, exit_, told] and not source.is_holding


def test_they_do_not_wait_for_ever() -> None:
    pieces = Pieces()
    source = JoinedSource(pieces, Joining(0.05))
    pieces.add(event())
    assert lines(source) == []
    time.sleep(0.06)
    assert len(lines(source)) == 1


def test_notices_keep_their_place() -> None:
    pieces, notice = Pieces(), Entry({}, b"", "s", 0, 0)
    pieces.add(event())
    pieces.next.append(notice)
    source = JoinedSource(pieces, Joining(2))
    assert list(source.chunks()) == []
    pieces.add(update())
    assert [isinstance(piece, Entry) for piece in source.chunks()] == [False, True, False]


def test_a_line_that_is_sent_as_it_is_has_the_pod() -> None:
    joining = Joining(2)
    joining.look([event(), update()])
    document = raw_maker(Selecting(), joining)(event(), "boot")
    assert document is not None
    assert orjson.loads(document.body)["process_exec"]["process"]["pod"]["name"] == "web-1"


def test_a_filter_sees_the_pod_that_came_late() -> None:
    joining = Joining(2)
    joining.look([event(), update()])
    make = Parsing(check_filter({"namespaces": ["shop"]}), None, joining).make
    assert make(event(), "boot") is not None
    assert make(event("d1" * 32), "boot") is None


def test_it_is_closed_with_its_source() -> None:
    pieces = Pieces()
    JoinedSource(pieces, Joining(2)).close()
    assert pieces.closed
