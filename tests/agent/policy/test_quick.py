# SPDX-License-Identifier: Apache-2.0
"""The short way of a policy's events makes what the stages make."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decode.header import HEAD, KIND_HOOK_DATA
from agent.decode.hook import DATA
from agent.log.records import Line
from agent.pipeline import Pipeline
from agent.policy.encode import STACKS, HookEncoder
from agent.policy.quick import QuickHooks
from agent.policy.values import ValueType
from tests.agent.hookwire import acting, facts, hook_record, integer_data, match_part, path_data, sock_data
from tests.agent.test_pipeline_policies import CHILD, INIT, OTHER, SHELL, make_pipeline
from tests.agent.wire import SECOND, exec_record, exit_record, fork_record

STARTS = [exec_record(CHILD, SHELL, [b"cat"]), exec_record(OTHER, SHELL, [b"ls"])]
FILE = (0, ValueType.FILE, path_data(b"/etc/passwd"))


def with_more() -> Pipeline:
    """And a hook with a text, a number, a path, a buffer and a return value."""
    pipeline = make_pipeline()
    assert pipeline.hooks is not None
    shown = [("string", ValueType.STRING), ("int", ValueType.INTEGER), ("path", ValueType.PATH)]
    selectors = [acting("Sigkill", label="grave")]
    book: Any = pipeline.hooks._book
    book.note(3, 0, 1, facts("tracepoint", "a/b", shown, returned=("int", ValueType.INTEGER), tags=["t"]))
    book.note(4, 0, 1, facts("kprobe", "w", [("char_buf", ValueType.BUFFER)], selectors=selectors))
    return pipeline


def by_stages(pipeline: Pipeline) -> Pipeline:
    pipeline._quick_hooks = None
    return pipeline


def only_quick(pipeline: Pipeline) -> Pipeline:
    def refuse(_event: object) -> NoReturn:
        raise AssertionError("not done the short way")

    pipeline._stages = dict.fromkeys(pipeline._stages, refuse)
    return pipeline


def state(pipeline: Pipeline) -> object:
    counts = pipeline.bad_records, pipeline.unknown_hooks, pipeline.tree.unknown
    return list(pipeline.tree.living), dict(pipeline.events), counts


def both(*batches: list[bytes]) -> list[Line]:
    """The lines of the last batch, which are the same either way."""
    quick, stages = with_more(), by_stages(with_more())
    lines: list[Line] = []
    for batch in batches:
        lines = quick.batch(batch)
        assert lines == stages.batch(batch)
        assert state(quick) == state(stages)
    return lines


def piece(image: tuple[int, int], hook: int, offset: int, data: bytes) -> bytes:
    """The head of a hook record with the piece of a buffer behind it."""
    begin = hook_record(image)[: HEAD.size]
    return bytes([KIND_HOOK_DATA]) + begin[1:] + DATA.pack(*[0] * 9, hook, 0, offset, len(data))[-16:] + data


paths = st.builds(
    path_data,
    st.sampled_from([b"/etc/passwd", b'/a"b\\c', b"/\xff", b"/\xc3\xa4", b"", b"/nul\0x", b"/" + b"x" * 600]),
    st.sampled_from([0o100644, 0o40755, 0]),
    links=st.sampled_from([1, 1, 0]),
    flags=st.sampled_from([0, 0, 1, 2]),
)
socks = st.builds(
    sock_data,
    owner=st.sampled_from([(0, 0), (CHILD[0] << 32 | 60, CHILD[1]), (OTHER[0] << 32 | 71, OTHER[1])]),
)
texts = st.sampled_from([b"plain", b"--password=hunter2", b"\xff", b"", b"x" * 600])
numbers = st.integers(-3, 3).map(integer_data)
status = st.sampled_from([0, 0, 0, 1, 2, 3])
buffers = st.sampled_from([b"\4\0\0\0\2\0\0\0ab", b"\2\0\0\0\2\0\0\0ab", b"short"])


@st.composite
def hook_event(draw: st.DrawFn) -> bytes:
    hook = draw(st.sampled_from([1, 1, 2, 3, 4, 5]))
    kinds = {
        2: [(ValueType.SOCK, socks)],
        3: [
            (ValueType.STRING, texts),
            (ValueType.INTEGER, numbers),
            (ValueType.PATH, paths),
            (ValueType.INTEGER, numbers),
        ],
        4: [(ValueType.BUFFER, buffers)],
    }.get(hook, [(ValueType.FILE, paths)])
    count = draw(st.integers(0, len(kinds))) if draw(st.integers(0, 4)) == 0 else len(kinds)
    values = [(index, kind, draw(data), draw(status)) for index, (kind, data) in enumerate(kinds[:count])]
    match = st.builds(
        match_part,
        actions=st.sampled_from([1, 1, 1, 1 | STACKS, 9, 1 << 16 | 1]),
        suppressed=st.sampled_from([0, 0, 0, 3]),
        signal=st.sampled_from([0, 9]),
    )
    matches = [draw(match)] if draw(st.booleans()) else []
    if draw(st.integers(0, 5)) == 0:
        matches.append(match_part(9, since=4))
    image = draw(st.sampled_from([CHILD, CHILD, OTHER, SHELL, INIT, (99, 990), (0, 0)]))
    raw = hook_record(
        image,
        draw(st.sampled_from([SHELL, INIT])),
        values,
        matches,
        hook=hook,
        tid=draw(st.sampled_from([None, None, 61])),
        at=draw(st.sampled_from([5 * SECOND, 5 * SECOND + 7, 6 * SECOND])),
        gap=draw(st.sampled_from([0, 0, 0, 1])),
    )
    return raw[: draw(st.sampled_from([None, None, None, None, -1, 100, 130]))]


others = st.sampled_from(
    [
        *STARTS,
        exit_record(CHILD, SHELL),
        exit_record(SHELL, INIT),
        exec_record((CHILD[0], CHILD[1] + 1), CHILD, [b"again"]),
        fork_record(CHILD, SHELL),
        fork_record(OTHER, CHILD),
        piece(CHILD, 4, 2, b"cd"),
        piece(CHILD, 1, 2, b"cd"),
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(hook_event() | hook_event() | others, max_size=8), min_size=1, max_size=3))
def test_any_records_become_the_same_lines(batches: list[list[bytes]]) -> None:
    both(STARTS, *[batch * 2 for batch in batches])


def test_a_common_event_never_meets_the_stages() -> None:
    pipeline, stages = with_more(), by_stages(with_more())
    events = [hook_record(CHILD, SHELL, [FILE], at=at * SECOND) for at in (5, 6, 7)]
    for one in (pipeline, stages):
        one.batch(STARTS)
    assert only_quick(pipeline).batch(events) == stages.batch(events)
    assert state(pipeline) == state(stages)


def test_a_socket_of_its_own_process_never_meets_the_stages() -> None:
    pipeline, stages = with_more(), by_stages(with_more())
    sock = (0, ValueType.SOCK, sock_data(owner=(CHILD[0] << 32 | 60, CHILD[1])))
    events = [hook_record(CHILD, SHELL, [sock], hook=2)] * 3
    for one in (pipeline, stages):
        one.batch(STARTS)
    assert only_quick(pipeline).batch(events) == stages.batch(events)


def test_what_changes_above_a_process_is_in_its_next_event() -> None:
    quick, stages = with_more(), by_stages(with_more())
    event = hook_record(CHILD, SHELL, [FILE])
    found = []
    for pipeline in (quick, stages):
        pipeline.batch([*STARTS, event, event])
        living = {one.tgid: one for one in pipeline.tree.living.values()}
        living[CHILD[0]].born_of(living[OTHER[0]])
        found.append(pipeline.batch([event]))
    assert found[0] == found[1] != quick.batch([hook_record(OTHER, SHELL, [FILE])])


def test_other_settings_count_from_the_next_batch() -> None:
    quick, stages = with_more(), by_stages(with_more())
    event = hook_record(CHILD, SHELL, [FILE])
    before = quick.batch([*STARTS, event, event])[-1]
    stages.batch([*STARTS, event])
    for pipeline in (quick, stages):
        pipeline._encoder.change("none", None)
    assert quick.batch([event]) == stages.batch([event]) != [before]


def test_pieces_of_a_buffer_are_for_the_stages() -> None:
    event = hook_record(CHILD, SHELL, [(0, ValueType.BUFFER, b"\4\0\0\0\2\0\0\0ab")], hook=4)
    assert b"YWJjZA==" in both(STARTS, [event, event], [piece(CHILD, 4, 2, b"cd"), event])[0][0]


@pytest.mark.parametrize("size", [3, 600])
def test_what_is_remembered_has_bounds(size: int) -> None:
    pipeline = with_more()
    pipeline.batch(STARTS)
    quick = pipeline._quick_hooks
    assert isinstance(quick, QuickHooks)
    for thread in range(600):
        values = [(0, ValueType.FILE, path_data(b"%0*d" % (size, thread % 300)))]
        pipeline.batch([hook_record(CHILD, SHELL, values, tid=thread, hook=1)] * 2)
    bodies = [raw for kept in quick._bodies.values() for raw in kept]
    assert 0 < len(quick._callers) <= 512 and len(bodies) <= 2048
    assert bool(bodies) == (size < 512)


def test_other_hooks_are_described_anew() -> None:
    pipeline = with_more()
    event = hook_record(CHILD, SHELL, [FILE])
    pipeline.batch([*STARTS, event])
    book: Any = type(pipeline.hooks._book)() if pipeline.hooks else None
    book.note(1, 0, 1, facts(policy="other"))
    pipeline.hooks = HookEncoder(pipeline._encoder, book)
    assert b'"policy_name":"other"' in pipeline.batch([event])[0][0]
