# SPDX-License-Identifier: Apache-2.0
"""Hook records through the whole pipeline, among those of the life cycle."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.task import decode_tasks
from agent.enrich.describe import Describer
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.pipeline import Pipeline
from agent.policy.book import PolicyBook
from agent.policy.encode import HookEncoder
from agent.policy.values import ValueType
from tests.agent.hookwire import facts, hook_record, match_part, path_data, sock_data
from tests.agent.wire import HOST_NS, SECOND, exec_record, exit_record, fork_record, task_record

REDACTOR = Redactor(load_rules(()), b"k" * 32)
INIT, SHELL, CHILD, OTHER = (1, 10), (50, 500), (60, 600), (70, 700)
FILE = (0, ValueType.FILE, path_data(b"/etc/passwd"))
SOCK = (0, ValueType.SOCK, sock_data(owner=(OTHER[0] << 32 | 71, OTHER[1])))
Fields = dict[str, Any]


def make_pipeline() -> Pipeline:
    """With two policies at hook 1 and one at hook 2, which has a socket."""
    clock, tree, encoder, book = (
        WallClock(),
        ProcessTree("n1", 1000),
        Encoder("n1", host_ns=HOST_NS),
        PolicyBook(),
    )
    clock.offset_ns = 1_767_225_600 * SECOND
    tasks = decode_tasks(task_record(INIT) + task_record(SHELL, INIT))
    for task in tasks:
        tree.adopt(task.head).announced = True
    tree.link(task.head for task in tasks)
    book.note(1, 0, 1, facts(policy="first"))
    book.note(1, 9, 4, facts("lsm", "file_open", policy="second"))
    book.note(2, 0, 1, facts("kprobe", "tcp_close", [("sock", ValueType.SOCK)], policy="sockets"))
    hooks = HookEncoder(encoder, book, redact=REDACTOR.redact_text)
    return Pipeline(tree, Describer(REDACTOR), encoder, clock, hooks)


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


def records(pipeline: Pipeline, *raw: bytes) -> list[Fields]:
    return [orjson.loads(before + b"1" + after) for before, after in pipeline.batch(raw)]


def first(record: Fields) -> tuple[str, Fields]:
    return next(iter(record.items()))


def test_a_policys_event_follows_the_exec_of_its_process(pipeline: Pipeline) -> None:
    found = records(
        pipeline,
        exec_record(CHILD, SHELL),
        hook_record(CHILD, SHELL, [FILE], at=6 * SECOND),
        exit_record(CHILD, SHELL),
    )
    assert [first(record)[0] for record in found] == ["process_exec", "process_kprobe", "process_exit"]
    started, event = first(found[0])[1], first(found[1])[1]
    assert (event["process"], event["parent"]) == (started["process"], started["parent"])
    assert found[1]["tracehound"]["ancestry"] == found[0]["tracehound"]["ancestry"]
    assert found[1]["time"] == "2026-01-01T00:00:06.000000000Z"


def test_a_call_that_two_policies_match_is_an_event_of_each(pipeline: Pipeline) -> None:
    matches = [match_part(0), match_part(9, since=4)]
    found = records(pipeline, exec_record(CHILD, SHELL), hook_record(CHILD, SHELL, [FILE], matches))[1:]
    assert [(kind, event["policy_name"]) for kind, event in map(first, found)] == [
        ("process_kprobe", "first"),
        ("process_lsm", "second"),
    ]
    assert pipeline.events == {"process_exec": 1, "process_kprobe": 1, "process_lsm": 1}


def test_a_process_that_never_called_exec_is_described_by_its_events(pipeline: Pipeline) -> None:
    below = (80, 800)
    found = records(
        pipeline, fork_record(CHILD, SHELL), fork_record(below, CHILD), hook_record(below, CHILD, [FILE])
    )
    assert found[0]["tracehound"]["fork"]["process"]["pid"] == CHILD[0]
    assert first(found[1])[1]["process"]["flags"].startswith("clone")


def test_a_process_whose_exec_was_lost_is_unknown_and_has_its_parent(pipeline: Pipeline) -> None:
    (found,) = records(pipeline, hook_record(CHILD, SHELL, [FILE], tid=61))
    event = first(found)[1]
    assert (event["process"]["flags"], event["process"]["tid"]) == ("unknown", 61)
    assert event["parent"]["pid"] == SHELL[0] and len(found["tracehound"]["ancestry"]) == 2


def test_a_call_outside_of_any_process_is_the_kernels(pipeline: Pipeline) -> None:
    (found,) = records(pipeline, hook_record((0, 0), values=[FILE]))
    event = first(found)[1]
    assert event["process"]["binary"] == "<kernel>" and "parent" not in event


def test_a_tracked_socket_names_its_owner_and_who_called(pipeline: Pipeline) -> None:
    found = records(
        pipeline,
        exec_record(CHILD, SHELL),
        exec_record(OTHER, SHELL),
        hook_record(CHILD, SHELL, [SOCK], hook=2),
    )
    process = first(found[2])[1]["process"]
    assert (process["pid"], process["tid"]) == (OTHER[0], 71)
    assert found[2]["tracehound"]["caller"] == first(found[0])[1]["process"]["exec_id"]


def test_matches_that_nobody_knows_are_counted_as_lost(pipeline: Pipeline) -> None:
    assert records(pipeline, hook_record(CHILD, SHELL, [FILE], [match_part(0, since=2), match_part(3)])) == []
    pipeline.hooks = None
    assert records(pipeline, hook_record(CHILD, SHELL, [FILE])) == []
    assert pipeline.unknown_hooks == 3


@given(st.data())
def test_a_hook_record_with_changed_bytes_stops_nothing(data: st.DataObject) -> None:
    pipeline = make_pipeline()
    raw = bytearray(hook_record(CHILD, SHELL, [FILE, SOCK], [match_part(0), match_part(9, since=4)]))
    for _ in range(4):
        raw[data.draw(st.integers(1, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for record in records(pipeline, bytes(raw)):
        assert record["node_name"] == "n1"
