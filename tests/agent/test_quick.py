# SPDX-License-Identifier: Apache-2.0
"""The short way of common records makes what the stages make."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decode.task import decode_tasks
from agent.enrich.describe import Describer
from agent.enrich.process import Process
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.events import CWD_CUT, EXECED, FORKED, IN_INIT_TREE, PARENT_MISSED, PRIVILEGES_KNOWN, SETUID
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line
from agent.overload import SHED_EXIT_DETAIL
from agent.pipeline import Pipeline
from agent.quick import QuickLives
from tests.agent.wire import (
    HOST_NS,
    SECOND,
    Image,
    cgroup_record,
    exec_record,
    exit_record,
    facts,
    fork_record,
    task_record,
)

INIT: Image = (1, 10)
SHELL: Image = (50, 500)
BEFORE: Image = (60, 599)
CHILD: Image = (60, 600)
CONTAINER = b"ab" * 32
CGROUPS = [
    (0, b""),
    (6, b"user.slice"),
    (7, CONTAINER),
    (8, b"lxc.payload.x"),
    (9, b"init.scope"),
    (5, b"docker-%b.scope" % CONTAINER[::-1]),
]
"""Numbers and names."""
RULES = load_rules(())
REDACTOR = Redactor(RULES, b"k" * 32)


class Declines(QuickLives):
    """Leaves everything to the stages."""

    def fork(self, raw: bytes) -> bool:
        return False

    def exec(self, raw: bytes) -> Line | None:
        return None

    def exit(self, raw: bytes) -> Line | None:
        return None


def make_pipeline(*, ancestry: str = "all", parent: str = "full", wanted: tuple[str, ...] = ()) -> Pipeline:
    clock = WallClock()
    clock.offset_ns = 1_767_225_600 * SECOND
    tree = ProcessTree("n1", 1000)
    tasks = decode_tasks(task_record(INIT) + task_record(SHELL, INIT))
    for task in tasks:
        tree.adopt(task.head).announced = True
    tree.link(task.head for task in tasks)
    encoder = Encoder("n1", ancestry=ancestry, parent=parent, host_ns=HOST_NS, user_name={0: "root"}.get)
    return Pipeline(tree, Describer(REDACTOR, wanted), encoder, clock)


def by_stages(pipeline: Pipeline) -> Pipeline:
    pipeline._quick = Declines(pipeline.tree, pipeline._describe, pipeline._encoder, pipeline.clock)
    return pipeline


def only_quick(pipeline: Pipeline) -> Pipeline:
    def refuse(_raw: bytes) -> NoReturn:
        raise AssertionError("not done the short way")

    pipeline._decode = refuse  # type: ignore[assignment]
    return pipeline


def description(process: Process) -> dict[str, Any]:
    left_out = ("parent", "lineage", "place")
    found: dict[str, Any] = {
        name: getattr(process, name) for name in Process.__slots__ if name not in left_out
    }
    if process.place is not None:
        found["place"] = process.place.pod_field(), process.place.exec_fields(), process.place.nspid
    return {**found, "above": [above.exec_id for above in process.ancestors()]}


def state(pipeline: Pipeline) -> object:
    living = {key: description(process) for key, process in pipeline.tree.living.items()}
    return living, dict(pipeline.events), pipeline.bad_records, pipeline.tree.unknown


LIFE = [
    fork_record(BEFORE, SHELL, at=2 * SECOND),
    exec_record(CHILD, SHELL, [b"ls", b"-l", b"a b"], cgroup=b"user.slice", at=3 * SECOND),
    exit_record(CHILD, SHELL, 0x0200, at=4 * SECOND),
]


def test_a_common_life_never_meets_the_stages() -> None:
    assert only_quick(make_pipeline()).batch(LIFE) == by_stages(make_pipeline()).batch(LIFE)


def test_the_counts_are_the_stages() -> None:
    quick, stages = make_pipeline(), by_stages(make_pipeline())
    for pipeline in (quick, stages):
        pipeline.batch(LIFE)
    assert state(quick) == state(stages)


IMAGES = [(50 + pid, 500 + 10 * pid + image) for pid in range(3) for image in range(3)]
family = (
    st.tuples(st.sampled_from(IMAGES), st.sampled_from([INIT, *IMAGES]))
    .map(sorted)
    .filter(lambda f: f[0] < f[1])
)
"""Parent and child: no two are each other's ancestors."""
flags = st.sampled_from(
    [FORKED, FORKED | IN_INIT_TREE, EXECED | PRIVILEGES_KNOWN, PARENT_MISSED, SETUID, CWD_CUT]
)
area = st.lists(
    st.sampled_from([b"ls", b"", b"a b", b'"\\', b"\xff", b"--password=hunter2", b"\xc3\xa4"]), max_size=4
)


@st.composite
def record(draw: st.DrawFn) -> bytes:
    parent, image = draw(family)
    kind = draw(st.sampled_from(["fork", "exec", "exec", "exit", "cgroup", "nonsense"]))
    first = (image[1] - 500) % 10 == 0  # of its process
    if kind in ("fork", "exec"):
        kind = "fork" if first else "exec"
    if kind == "fork":
        creator = draw(st.sampled_from([(0, 0), (0, 0), INIT, (51, 510)]))
        return fork_record(image, parent, creator, flags=draw(flags))
    if kind == "cgroup":
        number, name = draw(st.sampled_from(CGROUPS[1:5]))
        path = b"/docker/" + (CONTAINER + b"/" if number == 9 else b"") + name
        removed = draw(st.sampled_from([False, False, True]))
        return cgroup_record(number, 7 if number in (7, 9) else 0, path, removed=removed)
    if kind == "exit":
        return exit_record(image, parent, draw(st.sampled_from([0, 9, 0x0200])))
    if kind == "nonsense":
        return draw(st.sampled_from([b"", b"\x01", b"\x02short", b"\x03" + bytes(30), LIFE[1][:-3]]))
    cgroup_id, cgroup = draw(st.sampled_from(CGROUPS))
    return exec_record(
        image,
        parent,
        draw(area),
        flags=draw(flags),
        filename=draw(st.sampled_from([b"/bin/ls", b"ls", b"", b"./\xff"])),
        exe=draw(st.sampled_from([None, b"/usr/bin/ls"])),
        cwd=draw(st.sampled_from([b"/home", b"/"])),
        cgroup=cgroup,
        about=facts(cgroup_id=cgroup_id, auid=draw(st.sampled_from([0, 1000]))),
        environment=draw(st.sampled_from([b"", b"", b"LANG=C\0"])),
        inode=draw(st.sampled_from([(7, 8, 1), (7, 8, 1), (7, 8, 0)])),
        nspid=draw(st.sampled_from([0, 5])),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(record(), max_size=8), max_size=4), st.booleans(), st.booleans(), st.integers(0, 2))
def test_any_records_become_the_same_lines(
    batches: list[list[bytes]], parents: bool, wanted: bool, step: int
) -> None:
    def made() -> Pipeline:
        parent = "full" if parents else "none"
        return make_pipeline(ancestry="all", parent=parent, wanted=("LANG",) if wanted else ())

    quick, stages = made(), by_stages(made())
    for batch in batches:
        quick.shed_step = stages.shed_step = step
        assert quick.batch(batch) == stages.batch(batch)
        assert state(quick) == state(stages)


@pytest.mark.parametrize(("ancestry", "parent"), [("none", "none"), ("exec", "full"), ("all", "none")])
def test_what_a_line_holds_is_set_for_both_ways(ancestry: str, parent: str) -> None:
    quick, stages = (make_pipeline(ancestry=ancestry, parent=parent) for _ in range(2))
    assert only_quick(quick).batch(LIFE) == by_stages(stages).batch(LIFE)


def test_a_fork_whose_parent_ended_keeps_it() -> None:
    records = [
        fork_record((70, 700), SHELL),
        fork_record(BEFORE, SHELL),
        exit_record(SHELL, INIT),
        exit_record((70, 700), SHELL),
    ]
    quick, stages = make_pipeline(), by_stages(make_pipeline())
    assert quick.batch(records) == stages.batch(records)
    assert state(quick) == state(stages)


def test_a_fork_is_in_the_tree_when_the_batch_is_over() -> None:
    pipeline = make_pipeline()
    pipeline.batch(LIFE[:1])
    assert [process.tgid for process in pipeline.tree.living.values()] == [1, 50, 60]


def test_other_settings_count_from_the_next_batch() -> None:
    pipeline = make_pipeline()
    first = pipeline.batch(LIFE)
    pipeline._encoder.change("none", {0: "admin"}.get)
    pipeline._describe.redactor = None
    again, stages = pipeline.batch(LIFE), by_stages(make_pipeline(ancestry="none"))
    stages._encoder.change("none", {0: "admin"}.get)
    assert again == stages.batch(LIFE) != first


def test_other_rules_of_redaction_count_from_the_next_batch() -> None:
    pipeline = make_pipeline()
    secret = [exec_record(CHILD, SHELL, [b"curl", b"--password=hunter2"])]
    assert b"hunter2" not in pipeline.batch(secret)[0][1]
    pipeline._describe.redactor = None
    assert b"hunter2" in pipeline.batch(secret)[0][1]


def test_secrets_are_not_remembered() -> None:
    pipeline = make_pipeline()
    pipeline.batch([exec_record(CHILD, SHELL, [b"curl", b"--password=hunter2"])])
    assert not any(b"hunter2" in raw for raw in pipeline._quick._arguments)


def test_what_is_remembered_has_bounds() -> None:
    pipeline = make_pipeline()
    argv = [[b"%d" % number] for number in range(2100)] + [[b"x" * 513]]
    pipeline.batch(
        [exec_record((60 + n, 600), SHELL, words, filename=words[0]) for n, words in enumerate(argv)]
    )
    for memory in (pipeline._quick._arguments, pipeline._quick._paths):
        assert len(memory) <= 2048 and max(map(len, memory)) <= 512


def test_an_exit_without_detail_is_for_the_stages() -> None:
    pipeline = make_pipeline()
    pipeline.batch(LIFE[:2])
    pipeline.shed_step = SHED_EXIT_DETAIL
    assert b'"ancestry"' not in pipeline.batch(LIFE[2:])[0][1]


def test_who_called_clone_is_told_where_it_is_not_the_parent() -> None:
    records = [fork_record(BEFORE, SHELL, INIT), *LIFE[1:]]
    lines = make_pipeline().batch(records)
    assert b'"creator":' in lines[0][1]
    assert lines == by_stages(make_pipeline()).batch(records)
