# SPDX-License-Identifier: Apache-2.0
"""Ring records in, log lines out: all stages together."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.task import decode_tasks
from agent.enrich.describe import Describer
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.events import ARGUMENTS_CUT
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.overload import SHED_BULK, SHED_EXIT_DETAIL
from agent.pipeline import Pipeline
from tests.agent.wire import (
    HOST_NS,
    SECOND,
    Image,
    chunk_records,
    exec_record,
    exit_record,
    fork_record,
    task_record,
)

Fields = dict[str, Any]
INIT = (1, 10)
SHELL = (50, 500)
CHILD = (60, 600)
CONTAINER = b"ab" * 32
REDACTOR = Redactor(load_rules(()), b"k" * 32)


def make_pipeline() -> Pipeline:
    clock = WallClock()
    clock.offset_ns = 1_767_225_600 * SECOND
    tree = ProcessTree("n1", 1000)
    tasks = decode_tasks(task_record(INIT) + task_record(SHELL, INIT))
    for task in tasks:
        tree.adopt(task.head).announced = True
    tree.link(task.head for task in tasks)
    return Pipeline(tree, Describer(REDACTOR, ["LANG", "DB_*"]), Encoder("n1", host_ns=HOST_NS), clock)


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


def records(pipeline: Pipeline, *raw: bytes) -> list[Fields]:
    return [orjson.loads(before + b"1" + after) for before, after in pipeline.batch(raw)]


def kinds(found: list[Fields]) -> list[str]:
    return [next(key for key in (*record, *record["tracehound"]) if key in KINDS) for record in found]


KINDS = ("process_exec", "process_exit", "fork")


def exec_id(image: Image) -> str:
    return ProcessTree("n1", 1).find(*image).exec_id


def pid(exec_id: str) -> int:
    return int(b64decode(exec_id).split(b":")[2])


def test_a_short_life_is_an_exec_and_an_exit(pipeline: Pipeline) -> None:
    life = records(
        pipeline,
        fork_record((60, 599), SHELL, at=2 * SECOND),
        exec_record(CHILD, SHELL, [b"ls", b"-l"], at=3 * SECOND),
        exit_record(CHILD, SHELL, 0x0200, at=4 * SECOND),
    )
    assert kinds(life) == ["process_exec", "process_exit"]
    started, ended = life[0]["process_exec"], life[1]["process_exit"]
    assert started["process"] == ended["process"]
    assert started["process"]["start_time"] == life[0]["time"] == "2026-01-01T00:00:03.000000000Z"
    assert (ended["status"], ended["time"]) == (2, "2026-01-01T00:00:04.000000000Z")
    assert life[1]["tracehound"]["ancestry"] == [exec_id(SHELL), exec_id(INIT)]


def test_lines_come_in_the_order_of_records_and_are_counted(pipeline: Pipeline) -> None:
    found = records(
        pipeline,
        exec_record((70, 700), SHELL),
        exec_record((60, 600), SHELL),
        exit_record((70, 700), SHELL),
        exit_record((60, 600), SHELL),
    )
    assert [next(iter(record.values()))["process"]["pid"] for record in found] == [70, 60, 70, 60]
    assert pipeline.events == {"process_exec": 2, "process_exit": 2}


def test_an_empty_batch_has_no_lines(pipeline: Pipeline) -> None:
    assert pipeline.batch([]) == []


def test_batches_do_not_share_their_lines(pipeline: Pipeline) -> None:
    first = pipeline.batch([exec_record(CHILD, SHELL)])
    pipeline.batch([exit_record(CHILD, SHELL)])
    assert len(first) == 1


# Processes that fork and never execute


def test_a_forked_process_is_announced_when_its_child_executes(pipeline: Pipeline) -> None:
    assert records(pipeline, fork_record((60, 600), SHELL, at=2 * SECOND)) == []
    found = records(pipeline, fork_record((70, 699), (60, 600)), exec_record((70, 700), (60, 600)))
    assert kinds(found) == ["fork", "process_exec"]
    assert found[0]["time"] == "2026-01-01T00:00:02.000000000Z"
    assert found[0]["tracehound"]["fork"]["process"] == found[1]["process_exec"]["parent"]
    assert found[0]["tracehound"]["fork"]["process"]["flags"] == "clone"


def test_a_chain_of_forked_processes_is_announced_from_the_top_once(pipeline: Pipeline) -> None:
    records(pipeline, fork_record((60, 600), SHELL), fork_record((61, 610), (60, 600)))
    found = records(pipeline, exec_record((70, 700), (61, 610)), exec_record((71, 710), (61, 610)))
    assert kinds(found) == ["fork", "fork", "process_exec", "process_exec"]
    assert [f["tracehound"]["fork"]["process"]["pid"] for f in found[:2]] == [60, 61]
    assert pipeline.events["fork"] == 2


def test_a_forked_process_that_ended_before_is_announced_too(pipeline: Pipeline) -> None:
    records(pipeline, fork_record((60, 600), SHELL), fork_record((70, 699), (60, 600)))
    found = records(pipeline, exit_record((60, 600), SHELL), exec_record((70, 700), (60, 600)))
    assert kinds(found) == ["process_exit", "fork", "process_exec"]


def test_every_exec_id_of_an_ancestry_has_its_record(pipeline: Pipeline) -> None:
    records(pipeline, fork_record((60, 600), SHELL), fork_record((61, 610), (60, 600)))
    found = records(pipeline, exec_record((70, 700), (61, 610)), exec_record((70, 701), (70, 700), flags=0))
    told = {exec_id(INIT), exec_id(SHELL)}
    for record in found:
        event = record.get("process_exec") or record["tracehound"]["fork"]
        assert set(record["tracehound"].get("ancestry", [])) <= told
        told.add(event["process"]["exec_id"])


def test_the_creator_is_in_the_exec_event(pipeline: Pipeline) -> None:
    records(pipeline, exec_record(CHILD, SHELL), fork_record((70, 699), SHELL, CHILD))
    (found,) = records(pipeline, exec_record((70, 700), SHELL))
    assert found["tracehound"]["creator"] == exec_id(CHILD)
    assert pid(found["process_exec"]["parent"]["exec_id"]) == SHELL[0]


# Containers, redaction, long arguments


def test_a_containers_process_is_named_after_it_with_all_its_children(pipeline: Pipeline) -> None:
    scope = b"docker-" + CONTAINER + b".scope"
    found = records(
        pipeline,
        exec_record((60, 600), SHELL, cgroup=scope),
        fork_record((70, 699), (60, 600)),
        exec_record((70, 700), (60, 600), cgroup=b"inner.service"),
        fork_record((80, 800), (70, 700)),
        exit_record((80, 800), (70, 700)),
    )
    names = [next(iter(record.values()))["process"]["docker"] for record in found]
    assert names == [CONTAINER.decode()[:31]] * 3


def test_no_line_of_a_life_holds_the_secret(pipeline: Pipeline) -> None:
    argv = [b"mysql", b"--password", b"hunter2-XYZZY", b"\xff", b"--token=\xffhunter2-XYZZY"]
    lines = pipeline.batch(
        [
            exec_record(CHILD, SHELL, argv, environment=b"DB_PASSWORD=hunter2-XYZZY\0LANG=C\0"),
            fork_record((70, 699), CHILD),
            exec_record((70, 700), CHILD),
            exit_record(CHILD, SHELL),
        ]
    )
    text = b"".join(before + after for before, after in lines)
    assert text.count(b"redacted:") >= 6
    assert b"XYZZY" not in text
    raw = orjson.loads(lines[0][0] + b"1" + lines[0][1])["tracehound"]["raw"]
    assert raw == {"arguments": {"3": "/w=="}}


def test_ten_thousand_arguments_are_in_the_line(pipeline: Pipeline) -> None:
    argv = [b"%d" % number for number in range(10_000)]
    area = b"\0".join(argv) + b"\0"
    chunks = chunk_records(CHILD, area)
    raw = exec_record(CHILD, SHELL, argv, chunks=(len(chunks), 0), arguments_bytes=len(area))
    (found,) = records(pipeline, *chunks, raw)
    assert found["tracehound"]["arguments"] == [argument.decode() for argument in argv]
    assert "truncated" not in found["tracehound"]


def test_a_missing_chunk_is_flagged_and_counted(pipeline: Pipeline) -> None:
    chunks = chunk_records(CHILD, b"a" * 20_000)
    raw = exec_record(CHILD, SHELL, chunks=(3, 0), arguments_bytes=20_000)
    (found,) = records(pipeline, chunks[0], chunks[2], raw)
    assert found["tracehound"]["truncated"] == ["arguments"]
    assert "truncArgs" in found["process_exec"]["process"]["flags"]
    assert pipeline.chunks_missing == 1


def test_what_a_setting_cut_is_no_loss(pipeline: Pipeline) -> None:
    raw = exec_record(CHILD, SHELL, flags=ARGUMENTS_CUT, chunks=(1, 0), arguments_bytes=99_999)
    (found,) = records(pipeline, *chunk_records(CHILD, b"a" * 8000), raw)
    assert found["tracehound"]["truncated"] == ["arguments"]
    assert pipeline.chunks_missing == 0


# Lost records, garbage, load


def test_an_exit_without_its_exec_is_an_event_of_an_unknown_process(pipeline: Pipeline) -> None:
    (found,) = records(pipeline, exit_record(CHILD, SHELL, 9))
    event = found["process_exit"]
    assert (event["process"]["flags"], event["signal"]) == ("unknown", "SIGKILL")
    assert event["process"]["parent_exec_id"] == event["parent"]["exec_id"] == exec_id(SHELL)


def test_garbage_is_counted_and_stops_nothing(pipeline: Pipeline) -> None:
    garbage = [b"", b"\0", b"\1", b"\7" * 50, exec_record(CHILD, SHELL)[:-1], task_record(CHILD)]
    assert kinds(records(pipeline, *garbage, exec_record(CHILD, SHELL))) == ["process_exec"]
    assert pipeline.bad_records == len(garbage)


def test_under_load_exits_lose_their_detail(pipeline: Pipeline) -> None:
    found = []
    for step in (SHED_BULK, SHED_EXIT_DETAIL):
        pipeline.shed_step = step
        records(pipeline, exec_record(CHILD, SHELL))
        found += records(pipeline, exit_record(CHILD, SHELL))
    assert [("parent" in r["process_exit"], "ancestry" in r["tracehound"]) for r in found] == [
        (True, True),
        (False, False),
    ]


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3, 4, 5, 6]), st.binary(max_size=400)), max_size=20))
def test_no_bytes_of_a_ring_stop_the_pipeline(garbage: list[tuple[int, bytes]]) -> None:
    pipeline = make_pipeline()
    for record in records(pipeline, *(bytes([kind]) + rest for kind, rest in garbage)):
        assert record["node_name"] == "n1"


@given(st.data())
def test_a_true_record_with_changed_bytes_stops_nothing(data: st.DataObject) -> None:
    pipeline = make_pipeline()
    for made in (fork_record(CHILD, SHELL), exec_record(CHILD, SHELL, [b"ls", b"\xff"]), exit_record(CHILD)):
        raw = bytearray(made)
        for _ in range(3):
            raw[data.draw(st.integers(1, len(raw) - 1))] = data.draw(st.integers(0, 255))
        records(pipeline, bytes(raw))
