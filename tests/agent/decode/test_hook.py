# SPDX-License-Identifier: Apache-2.0
"""Hook records from captured-like bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode import content as c
from agent.decode.header import HEAD, KIND_HOOK_DATA
from agent.decode.hook import BUFFER_HEAD, DATA, HOOK, MATCH, SENT, HookDecoder, decode_hook
from agent.events import Garbage, HookEvent, HookMatch, SentValue
from agent.kernel.btf import Btf
from tests.agent.decode.policy_btf import policy_btf
from tests.agent.hookwire import hook_record, match_part, path_data
from tests.agent.wire import NOBODY, head

RECORD = hook_record(
    (60, 600),
    (50, 500),
    [(0, 6, path_data(b"/etc/passwd")), (3, 1, b"\x01" + bytes(7), 2)],
    [match_part(4, suppressed=9, since=7), match_part(200, actions=9, signal=9)],
    hook=12,
    tid=61,
    stacks=(5, -17),
)


@pytest.fixture(scope="module")
def btf(tmp_path_factory: pytest.TempPathFactory) -> Btf:
    return policy_btf(tmp_path_factory.mktemp("policy"))


def decoded(raw: bytes) -> HookEvent:
    event = decode_hook(raw)
    assert isinstance(event, HookEvent)
    return event


@pytest.mark.parametrize(
    ("layout", "name"), [(HOOK, "hook_record"), (MATCH, "match"), (SENT, "sent_value")], ids=str
)
def test_a_format_is_as_long_as_its_struct(btf: Btf, layout: struct.Struct, name: str) -> None:
    assert layout.size == btf.size(name)


@pytest.mark.parametrize(
    ("name", "member", "at"),
    [
        ("hook_record", "cgroup_id", 48), ("hook_record", "hook", 56), ("hook_record", "matches", 60),
        ("hook_record", "values", 62), ("hook_record", "values_at", 64), ("hook_record", "actions", 68),
        ("hook_record", "error", 72), ("hook_record", "signal", 76), ("hook_record", "kernel_stack", 80),
        ("hook_record", "user_stack", 84), ("match", "selector", 0), ("match", "actions", 4),
        ("match", "suppressed", 8), ("match", "error", 12), ("match", "signal", 16), ("match", "from", 24),
        ("sent_value", "index", 0), ("sent_value", "type", 1), ("sent_value", "status", 2),
        ("sent_value", "length", 4), ("hook_data", "hook", 48), ("hook_data", "length", 60),
        ("hook_data", "data", DATA.size),
    ],
)  # fmt: skip
def test_what_is_read_stands_where_the_struct_has_it(btf: Btf, name: str, member: str, at: int) -> None:
    assert {found.name: found.offset for found in btf.members(name)}[member] == at


def test_the_head_is_that_of_the_image_and_its_thread() -> None:
    head = decoded(RECORD).head
    assert (head.tgid, head.image_ktime, head.tid) == (60, 600, 61)
    assert (head.parent_tgid, head.parent_ktime) == (50, 500)


def test_one_record_tells_of_all_policies_that_matched() -> None:
    event = decoded(RECORD)
    assert event.matches == [HookMatch(4, 1, 9, 0, 0, 0, 7), HookMatch(200, 9, 0, 0, 9, 0, 1)]
    assert (event.hook, event.kernel_stack, event.user_stack) == (12, 5, -17)


def test_values_are_known_by_their_index() -> None:
    values = decoded(RECORD).values
    assert values[0] == SentValue(6, 0, path_data(b"/etc/passwd"))
    assert (values[3].status, len(values)) == (2, 2)


def test_values_stand_behind_the_gap_of_what_a_rate_limit_held_back() -> None:
    assert decoded(hook_record(values=[(1, 2, b"text")], gap=3)).values == {1: SentValue(2, 0, b"text")}


@pytest.mark.parametrize("size", [0, 47, HOOK.size - 1, HOOK.size, HOOK.size + MATCH.size, len(RECORD) - 8])
def test_a_record_that_ends_too_early_is_garbage(size: int) -> None:
    assert isinstance(decode_hook(RECORD[:size]), Garbage)


def test_a_record_without_matches_is_garbage() -> None:
    raw = bytearray(hook_record())
    raw[60:62] = b"\0\0"
    assert isinstance(decode_hook(bytes(raw)), Garbage)


@given(st.data())
def test_bytes_changed_at_random_make_no_error(data: st.DataObject) -> None:
    raw = bytearray(RECORD)
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=12)):
        raw[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    assert isinstance(decode_hook(bytes(raw[:cut])), HookEvent | Garbage)


@given(st.binary(max_size=300))
def test_garbage_makes_no_error(rest: bytes) -> None:
    assert isinstance(decode_hook(b"\x07" + rest), HookEvent | Garbage)


def piece(offset: int, data: bytes, *, value: int = 2, tid: int = 60) -> bytes:
    begin = HEAD.unpack(head(KIND_HOOK_DATA, (60, 0), NOBODY, at=0, tid=tid))
    return DATA.pack(*begin, 1, value, offset, len(data)) + data


def buffer_of(decode: HookDecoder, wanted: int, data: bytes) -> bytes:
    """What becomes of a record with a buffer that begins with `data`."""
    sent = BUFFER_HEAD.pack(wanted, len(data)) + data
    event = decode(hook_record(values=[(2, c.BUFFER, sent, 1)]))
    assert isinstance(event, HookEvent)
    return event.values[2].data


def test_pieces_continue_the_buffer_of_their_call() -> None:
    decode = HookDecoder()
    decode.add(piece(3, b"old"))
    decode.add(piece(2, b"cd"))
    decode.add(piece(4, b"ef"))
    assert buffer_of(decode, 6, b"ab") == BUFFER_HEAD.pack(6, 6) + b"abcdef"
    assert buffer_of(decode, 6, b"ab") == BUFFER_HEAD.pack(6, 2) + b"ab"


def test_pieces_of_others_and_behind_a_gap_do_not() -> None:
    decode = HookDecoder()
    for other in (piece(2, b"cd", tid=61), piece(2, b"cd", value=3), piece(4, b"ef")):
        decode.add(other)
    assert buffer_of(decode, 6, b"ab") == BUFFER_HEAD.pack(6, 2) + b"ab"


def test_pieces_whose_event_never_comes_are_forgotten() -> None:
    decode = HookDecoder()
    for tid in range(60, 200):
        decode.add(piece(2, b"cd", tid=tid))
    assert buffer_of(decode, 4, b"ab") == BUFFER_HEAD.pack(4, 2) + b"ab"


@pytest.mark.parametrize("size", [0, DATA.size - 1, DATA.size + 1])
def test_a_piece_that_is_too_short_is_garbage(size: int) -> None:
    assert isinstance(HookDecoder().add(piece(2, b"cd")[:size]), Garbage)
