# SPDX-License-Identifier: Apache-2.0
"""Exec probes are sent once a minute, and counted."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from agent.log.times import format_time
from exporters import gathering
from exporters.base import Batching
from exporters.cursor import Cursor, Place
from exporters.documents import raw_maker
from exporters.gathering import Gatherer
from exporters.probes import Probes
from exporters.selecting import Selecting
from exporters.state import State
from tests.exporters.test_joining import Pieces

NOW = time.time()


def line(
    kind: str = "process_exec", *, at_s: float = 0, probe: bool = True, image: str = "", **own: Any
) -> bytes:
    """An event of a probe, or one whose parent is a probe."""
    container = {"id": "c0" * 32, "maybe_exec_probe": True}
    process = {"exec_id": image or f"at-{at_s}", "pid": 5, "binary": "/bin/cat", "arguments": "/tmp/ok"}
    process |= {
        "pod": {"namespace": "shop", "container": container if probe else {}},
        "docker": "c0" * 15,
    } | own
    parent = {"exec_id": "above", "pod": {"container": container}}
    stamp = format_time(int((NOW + at_s) * 1e9))
    body = {kind: {"process": process, "parent": parent}, "node_name": "n1", "time": stamp}
    return orjson.dumps({**body, "tracehound": {"sequence": 1}})


def admitted(*lines: bytes) -> list[bool]:
    probes, make = Probes(), raw_maker(Selecting())
    documents = [make(one, "boot") for one in lines]
    return [probes.admit(document, one) for document, one in zip(documents, lines, strict=True) if document]


def test_one_of_each_is_sent_a_minute() -> None:
    assert admitted(*[line(at_s=at_s) for at_s in (0, 10, 50, 60, 70, 121)]) == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_its_exit_goes_with_it() -> None:
    first, second = line(image="a"), line(at_s=10, image="b")
    exits = [line("process_exit", at_s=11, image=image) for image in "ab"]
    assert admitted(first, second, *exits) == [True, False, True, False]


def test_other_commands_and_other_containers_have_their_own() -> None:
    assert (
        admitted(line(), line(at_s=1, arguments="/tmp/other"), line(at_s=2, docker="d1" * 15)) == [True] * 3
    )


def test_what_a_probe_starts_is_no_probe() -> None:
    assert admitted(line(), *[line(at_s=1, probe=False)] * 3) == [True] * 4


def test_what_it_does_at_a_hook_is_sent() -> None:
    assert admitted(line(), line("process_kprobe", at_s=1), line("process_lsm", at_s=2)) == [True] * 3


def test_a_clock_that_was_set_back_hides_nothing() -> None:
    assert admitted(line(), line(at_s=-100)) == [True, True]


def gatherer(pieces: Pieces) -> Gatherer:
    return Gatherer(
        pieces,  # type: ignore[arg-type]
        raw_maker(Selecting()),
        Batching(events=100, bytes=1 << 20, seconds=1.0),
        State("siem", "file", "json", False),
        place=Place(Cursor("", 0, 0), ""),
        probes=Probes(),
    )


def test_how_many_there_were_is_told_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = Pieces()
    made = gatherer(pieces)
    pieces.add(*[line(at_s=at_s) for at_s in (0, 1, 2)])
    made.gather()
    assert len(made.take().documents) == 1
    monkeypatch.setattr(gathering, "TELL_PROBES_S", -1e9)
    assert made.waiting == 1
    [told] = made.take().documents
    content = told.record["tracehound"]["suppressed"]
    assert (content["count"], content["cause"]) == (2, "maybe_exec_probe")


def test_others_are_not_looked_at_twice() -> None:
    pieces = Pieces()
    made = gatherer(pieces)
    pieces.add(*[line(at_s=at_s, probe=False) for at_s in range(5)])
    made.gather()
    assert len(made.take().documents) == 5
