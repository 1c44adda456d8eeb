# SPDX-License-Identifier: Apache-2.0
"""Events and the late answers about their containers, joined by who reads the log."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from agent.log import joining as module
from agent.log.joining import Joining, Waiting
from agent.log.times import format_time

ID, OTHER = "c0" * 32, "d1" * 32
POD = {"namespace": "shop", "name": "web-1"}
CONTAINER = {"id": ID, "name": "nginx"}


def event(id_: str = ID, *, at_s: float = 0, kind: str = "process_exec", **own: Any) -> bytes:
    """As the agent writes it while the container is pending."""
    pending = {"container": {"id": id_, "state": "pending"}} if kind == "process_exec" else {}
    process = {"exec_id": "a", "pid": 5, "docker": id_[:31], "tid": 5}
    stamp = format_time(int((at_s or time.time()) * 1e9))
    whole = {kind: {"process": process}, "node_name": "n1", "time": stamp}
    return orjson.dumps({**whole, "tracehound": {"sequence": 1, **pending, **own}})


def update(id_: str = ID, *, state: str = "known", at_s: float = 0, **told: Any) -> bytes:
    """container_update."""
    known = {"container": {**CONTAINER, "id": id_}, "pod": POD} if state == "known" else {}
    content = {"id": id_, "state": state, **known, **told}
    stamp = format_time(int((at_s or time.time()) * 1e9))
    own = {"sequence": 1234567890, "container_update": content}
    return orjson.dumps({"tracehound": own, "node_name": "n1", "time": stamp})


def joined(*lines: bytes, hold_s: float = 2) -> list[dict[str, Any]]:
    """What a reader that has looked ahead makes of them."""
    joining = Joining(hold_s)
    joining.look(lines)
    return [orjson.loads(joining.join_line(line)) for line in lines]


def test_an_event_gets_the_pod_that_became_known_behind_it() -> None:
    first, _ = joined(event(), update())
    assert first["process_exec"]["process"]["pod"] == {**POD, "container": CONTAINER}
    assert "container" not in first["tracehound"]


def test_the_keys_stay_in_tetragons_order() -> None:
    first, _ = joined(event(), update())
    assert list(first["process_exec"]["process"]) == ["exec_id", "pid", "pod", "docker", "tid"]
    assert list(first) == ["process_exec", "node_name", "time", "tracehound"]


def test_other_events_of_the_container_get_it_too() -> None:
    _, second, _ = joined(event(), event(kind="process_kprobe"), update())
    assert second["process_kprobe"]["process"]["pod"]["name"] == "web-1"


def test_outside_of_kubernetes_an_exec_gets_the_containers_name() -> None:
    first, _ = joined(event(), update(pod=None))
    assert first["tracehound"]["container"] == CONTAINER and "pod" not in first["process_exec"]["process"]


def test_what_cannot_be_known_says_why() -> None:
    first, _ = joined(event(), update(state="unknowable", reason="it was gone"))
    assert first["tracehound"]["container"] == {"id": ID, "state": "unknowable", "reason": "it was gone"}


def test_another_containers_answer_changes_nothing() -> None:
    lines = [event(), update(OTHER)]
    assert joined(*lines) == [orjson.loads(line) for line in lines]


def test_a_pod_that_stands_there_is_left_as_it_was_written() -> None:
    line = event().replace(b'"docker"', b'"pod":{"name":"old"},"docker"')
    first, _ = joined(line, update())
    assert first["process_exec"]["process"]["pod"] == {"name": "old"}


def test_text_that_looks_like_a_record_is_text() -> None:
    text = '"container":{"id":"' + OTHER + '","state":"pending"}'
    joining = Joining(2)
    assert joining.look([event(arguments=[text])]) == {ID}


def waiting(hold_s: float = 2) -> Waiting[list[bytes]]:
    return Waiting(Joining(hold_s), lambda piece: piece)


def test_what_concerns_nobody_never_waits() -> None:
    line = waiting()
    line.add([b'{"process_exit":{}}'])
    assert line.due(at_end=True) is not None


def test_a_pending_container_holds_back_all_that_follows_until_it_is_answered_for() -> None:
    line = waiting()
    pieces = [[event()], [b"x"], [update()]]
    for piece in pieces[:2]:
        line.add(piece)
    assert line.due(at_end=True) is None
    line.add(pieces[2])
    assert [line.due(at_end=True) for _ in pieces] == pieces


def test_after_the_time_it_goes_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    line = waiting(0.05)
    line.add([event()])
    assert line.due(at_end=True) is None
    time.sleep(0.06)
    assert line.due(at_end=True) is not None


def test_what_was_written_long_ago_waits_for_what_can_be_read_and_no_longer() -> None:
    line, then_s = waiting(), time.time() - 3600
    line.add([event(at_s=then_s)])
    assert line.due(at_end=False) is None
    line.add([b'{"process_exit":{},"node_name":"n1","time":"' + event(at_s=then_s + 5)[-60:]])
    line.add([event(OTHER, at_s=then_s + 5)])
    assert line.due(at_end=False) is not None


def test_a_clock_that_was_set_back_by_an_hour_takes_nobodys_time() -> None:
    made = waiting(30)
    made.add([event(OTHER, at_s=time.time() + 3600)])
    made.add([event()])
    made.add([update(OTHER)])
    assert made.due(at_end=True) is not None  # was answered for
    assert made.due(at_end=True) is None


def test_at_the_end_of_an_old_log_nothing_waits() -> None:
    line = waiting()
    line.add([event(at_s=time.time() - 3600)])
    assert line.due(at_end=True) is not None


def test_too_much_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 1000)
    line = waiting()
    line.add([event(), b"x" * 2000])
    assert line.due(at_end=True) is not None


def test_where_nothing_is_held_nothing_is_looked_at() -> None:
    line = waiting(0)
    line.add([event()])
    assert line.due(at_end=True) is not None


def test_memory_of_containers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 10)
    joining = Joining(2)
    for number in range(50):
        joining.look(
            [
                event(f"{number:04x}".ljust(64, "0")),
                update(f"{number:04x}".ljust(64, "0")),
                event(f"{number + 1000:04x}".ljust(64, "0")),
            ]
        )
    assert (len(joining._late), len(joining._pending)) == (10, 10)
