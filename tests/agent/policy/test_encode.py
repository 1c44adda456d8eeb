# SPDX-License-Identifier: Apache-2.0
"""Hook records as lines of the log."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from agent.decode.hook import decode_hook
from agent.enrich.process import Process
from agent.events import HookEvent
from agent.log.encode import Encoder
from agent.policy.book import Frame, HookFacts, PolicyBook
from agent.policy.encode import ACTION_KERNEL_STACK, ACTION_USER_STACK, HookEncoder
from agent.policy.told import ACTION_OVERRIDE
from agent.policy.values import ValueType
from tests.agent.hookwire import (
    Sent,
    acting,
    facts,
    hook_record,
    integer_data,
    match_part,
    path_data,
    sock_data,
)

STAMP = "2026-01-01T00:00:05.000000000Z"
FILE = (0, ValueType.FILE, path_data(b"/etc/passwd"))
SHOWN_FILE = {"file_arg": {"path": "/etc/passwd", "permission": "-rw-r--r--"}}
Fields = dict[str, Any]


class Traces:
    """Stacks of two frames."""

    def kernel(self, stack: int) -> list[Frame]:
        return [Frame(stack, "do_filp_open"), Frame(0, "x", "mod", 255)]

    def user(self, stack: int, tgid: int) -> list[Frame]:
        return [Frame(stack, "main", f"/proc/{tgid}/exe")]


def process() -> Process:
    init = Process(1, 10, "aW5pdA==", None)
    found = Process(60, 600, "cHJvYw==", init)
    found.binary, found.flags = "/bin/cat", 2
    return found


def line(
    known: HookFacts, *values: Sent, tid: int = 60, encoder: Encoder | None = None, **more: Any
) -> Fields:
    """The line of a record with one match, as a reader sees it."""
    book = PolicyBook()
    book.note(1, 0, 1, known)
    hooks = HookEncoder(encoder or Encoder("n1"), book, stacks=Traces())
    stacks = more.pop("stacks", (-1, -1))
    event = decode_hook(hook_record(values=values, matches=[match_part(**more)], stacks=stacks))
    assert isinstance(event, HookEvent)
    form = hooks.form(1, event.matches[0])
    assert form is not None
    before, after = hooks.line(form, event, event.matches[0], process(), tid, STAMP)
    found: Fields = orjson.loads(before + b"7" + after)
    return found


def test_a_kprobe_has_tetragons_fields_in_its_order() -> None:
    known = facts(returned=("int", ValueType.INTEGER), message="a file", tags=("a", "b"))
    event = line(known, FILE, (1, ValueType.INTEGER, integer_data(-13)))["process_kprobe"]
    assert list(event.items())[2:] == [
        ("function_name", "security_file_open"),
        ("args", [SHOWN_FILE]),
        ("return", {"int_arg": -13}),
        ("action", "KPROBE_ACTION_POST"),
        ("policy_name", "file-open"),
        ("return_action", "KPROBE_ACTION_POST"),
        ("message", "a file"),
        ("tags", ["a", "b"]),
    ]
    assert list(event)[:2] == ["process", "parent"]


def test_an_lsm_hook_has_tetragons_fields_in_its_order() -> None:
    known = facts("lsm", "file_open", message="m", tags=("t",), selectors=[acting("Override", error=-1)])
    event = line(known, FILE, actions=1 | ACTION_OVERRIDE, error=-1)["process_lsm"]
    assert list(event.items())[2:] == [
        ("function_name", "file_open"),
        ("policy_name", "file-open"),
        ("message", "m"),
        ("args", [SHOWN_FILE]),
        ("action", "KPROBE_ACTION_OVERRIDE"),
        ("tags", ["t"]),
    ]


@pytest.mark.parametrize("kind", ["tracepoint", "raw_tracepoint"])
def test_a_tracepoint_has_tetragons_fields_in_its_order(kind: str) -> None:
    shown = [("int32", ValueType.INTEGER), ("string", ValueType.STRING)]
    known = facts(kind, "syscalls/sys_enter_openat", shown, message="m", tags=("t",))
    values = (0, ValueType.INTEGER, integer_data(-100)), (1, ValueType.STRING, b"/etc/passwd\0")
    assert list(line(known, *values)["process_tracepoint"].items())[2:] == [
        ("subsys", "syscalls"),
        ("event", "sys_enter_openat"),
        ("args", [{"int_arg": -100}, {"string_arg": "/etc/passwd"}]),
        ("policy_name", "file-open"),
        ("action", "KPROBE_ACTION_POST"),
        ("message", "m"),
        ("tags", ["t"]),
    ]


def test_an_event_stands_between_its_process_and_our_own_key() -> None:
    found = line(facts(), FILE)
    assert list(found) == ["process_kprobe", "node_name", "time", "tracehound"]
    assert found["process_kprobe"]["process"]["binary"] == "/bin/cat"
    assert found["tracehound"] == {"sequence": 7, "ancestry": ["aW5pdA=="], "policy": {"selector": 0}}


def test_the_thread_that_called_is_named_and_nothing_else_changes() -> None:
    ours, others = line(facts(), FILE), line(facts(), FILE, tid=61)
    assert others["process_kprobe"]["process"] == ours["process_kprobe"]["process"] | {"tid": 61}


def test_settings_of_the_log_hold_for_policies() -> None:
    found = line(facts(), FILE, encoder=Encoder("n1", ancestry="exec", parent="none", cluster_name="c"))
    assert list(found) == ["process_kprobe", "node_name", "cluster_name", "time", "tracehound"]
    assert "parent" not in found["process_kprobe"] and "ancestry" not in found["tracehound"]


def test_the_last_action_is_told_as_tetragon_does() -> None:
    known = facts(selectors=[acting("Override"), acting("Post", "Sigkill", label="kill")], selector=1)
    found = line(known, FILE, actions=9, signal=9)
    assert found["process_kprobe"]["action"] == "KPROBE_ACTION_SIGKILL"
    assert found["tracehound"]["policy"] == {"selector": 1, "label": "kill", "did": ["Signal SIGKILL"]}


def test_stack_traces_stand_where_tetragon_has_them() -> None:
    asked = ACTION_KERNEL_STACK | ACTION_USER_STACK
    event = line(facts(message="m"), FILE, actions=1 | asked, stacks=(16, 32))["process_kprobe"]
    names = list(event)
    assert names.index("kernel_stack_trace") == names.index("policy_name") - 1
    assert names.index("user_stack_trace") == names.index("message") + 1
    assert event["kernel_stack_trace"] == [
        {"offset": "16", "symbol": "do_filp_open"},
        {"address": "255", "symbol": "x", "module": "mod"},
    ]
    assert event["user_stack_trace"] == [{"offset": "32", "symbol": "main", "module": "/proc/60/exe"}]


def test_a_stack_that_another_policy_asked_for_is_not_shown() -> None:
    assert "kernel_stack_trace" not in line(facts(), FILE, stacks=(16, 32))["process_kprobe"]


def test_data_stand_last_and_values_are_found_where_the_shape_has_them() -> None:
    known = facts(data=[("uint32", ValueType.INTEGER)], labels=["", "pid of the owner"])
    known = HookFacts(known.policy, known.use, (5, 9))
    values = (9, ValueType.INTEGER, integer_data(4)), (5, ValueType.FILE, FILE[2])
    event = line(known, *values)["process_kprobe"]
    assert list(event)[-1] == "data"
    assert event["args"], event["data"] == ([SHOWN_FILE], [{"uint_arg": 4, "label": "pid of the owner"}])


def test_a_placeholder_is_no_argument() -> None:
    known = facts(shown=[("nop", ValueType.NOP), ("file", ValueType.FILE)])
    assert line(known, (1, ValueType.FILE, FILE[2]))["process_kprobe"]["args"] == [SHOWN_FILE]


def test_a_return_value_that_did_not_come_is_left_out() -> None:
    assert "return" not in line(facts(returned=("int", ValueType.INTEGER)), FILE)["process_kprobe"]


def test_a_hook_without_arguments_has_none() -> None:
    assert "args" not in line(facts(shown=[]))["process_kprobe"]


def test_what_an_argument_does_not_tell_stands_below_our_own_key() -> None:
    found = line(facts(), (0, ValueType.FILE, path_data(b"/gone", links=0)))
    assert found["tracehound"]["inode"] == {"args.0": {"number": "7", "links": 0, "dev": "8:1"}}


def test_a_namespaced_policy_says_where_it_is_from() -> None:
    known = facts()
    known = HookFacts("p", known.use, known.indexes, namespace="team-a")
    assert line(known, FILE)["tracehound"]["policy"] == {"selector": 0, "namespace": "team-a"}


def test_the_owner_of_a_tracked_socket_is_found() -> None:
    known, book = facts(shown=[("sock", ValueType.SOCK)]), PolicyBook()
    book.note(1, 0, 1, known)
    hooks = HookEncoder(Encoder("n1"), book)
    raw = hook_record(values=[(0, ValueType.SOCK, sock_data(owner=(50 << 32 | 51, 500)))])
    event = decode_hook(raw)
    assert isinstance(event, HookEvent)
    form = hooks.form(1, event.matches[0])
    assert form is not None and hooks.owner(form, event) == (50, 500, 51)
    assert hooks.owner(form, event._replace(values={})) is None


def test_a_selector_that_nobody_knows_has_no_form() -> None:
    event = decode_hook(hook_record())
    assert isinstance(event, HookEvent)
    assert HookEncoder(Encoder("n1"), PolicyBook()).form(1, event.matches[0]) is None


def test_what_is_learned_of_a_process_later_shows_in_its_next_event() -> None:
    book, encoder = PolicyBook(), Encoder("n1")
    book.note(1, 0, 1, facts())
    hooks, made = HookEncoder(encoder, book), process()
    event = decode_hook(hook_record(values=[FILE]))
    assert isinstance(event, HookEvent)
    form = hooks.form(1, event.matches[0])
    assert form is not None

    def now() -> tuple[bytes, bytes]:
        return hooks.line(form, event, event.matches[0], made, 60, STAMP)

    first = now()
    assert now() == first
    made.born_of(Process(9, 90, "bmV3", made.parent))
    second = now()
    assert b'"parent_exec_id":"bmV3"' in second[0] and b'"ancestry":["bmV3"' in second[1]
    encoder.change("none", None)
    assert now() == (second[0], b',"policy":{"selector":0}}}\n')
