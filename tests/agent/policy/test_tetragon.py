# SPDX-License-Identifier: Apache-2.0
"""The same calls as were recorded from Tetragon: our events have its fields, in its order, with its values.

What may differ: `ancestors` and the process's details stand in our expanded form only, and the cookie of a
socket does not tell a kernel address.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.policy import names
from agent.policy.values import ValueType
from tests.agent.hookwire import acting, facts, integer_data, path_data, sock_data
from tests.agent.policy.test_encode import line

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "tetragon-events"
OURS_ALONE = ("process", "parent", "ancestors")
Fields = dict[str, Any]
pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="no events recorded from Tetragon beside the checkout"
)


def recorded() -> Iterator[tuple[str, Fields]]:
    for path in sorted(RECORDED.glob("*-process_[klt]*-*-*.jsonl")):
        for number, text in enumerate(path.read_bytes().splitlines()):
            kind, event = next(iter(orjson.loads(text).items()))
            yield f"{path.stem}-{number}", {kind: {k: v for k, v in event.items() if k not in OURS_ALONE}}


EVENTS = dict(recorded())
MODES = {"-rw-r--r--": 0o100644, "-rwxr-xr-x": 0o100755}
FAMILIES, STATES = (
    {name: number for number, name in table.items()} for table in (names.FAMILIES, names.TCP_STATES)
)


def sent(argument: Fields) -> tuple[str, ValueType, bytes]:
    """Type of the CRD, value type and bytes from which an argument of Tetragon's would come."""
    ((member, value),) = argument.items()
    if member == "int_arg":
        return "int32", ValueType.INTEGER, integer_data(value)
    if member == "string_arg":
        return "string", ValueType.STRING, value.encode()
    if member in ("file_arg", "linux_binprm_arg"):
        crd = "file" if member == "file_arg" else "linux_binprm"
        return crd, ValueType.FILE, path_data(value["path"].encode(), MODES[value["permission"]])
    assert member == "sock_arg"
    ends = [bytes(map(int, value[side].split("."))) for side in ("saddr", "daddr")]
    data = sock_data(
        (ends[0], value.get("sport", 0), ends[1], value.get("dport", 0)),
        family=FAMILIES[value["family"]],
        state=STATES[value["state"]],
    )
    return "sock", ValueType.SOCK, data


def ours(kind: str, event: Fields) -> Fields:
    """The same event as our pipeline makes it of the record that the kernel side would send."""
    arguments = [sent(argument) for argument in event.get("args", ())]
    returned = [sent(event["return"])] if "return" in event else []
    hook_kind = {"process_kprobe": "kprobe", "process_lsm": "lsm", "process_tracepoint": "tracepoint"}[kind]
    action = event["action"].removeprefix("KPROBE_ACTION_").capitalize()
    known = facts(
        hook_kind,
        event.get("function_name") or f"{event['subsys']}/{event['event']}",
        [one[:2] for one in arguments],
        policy=event["policy_name"],
        selectors=[acting(action)],
        returned=returned[0][:2] if returned else None,
        message=event.get("message", ""),
        tags=tuple(event.get("tags", ())),
    )
    values = [(index, kind, data) for index, (_, kind, data) in enumerate(arguments + returned)]
    made = line(known, *values)[kind]
    return {name: value for name, value in made.items() if name not in OURS_ALONE}


def without_cookie(event: Fields) -> bytes:
    text: Fields = orjson.loads(orjson.dumps(event))
    for argument in text.get("args", ()):
        argument.get("sock_arg", {}).update(cookie="")
    return orjson.dumps(text)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_written_as_tetragon_writes_it(name: str) -> None:
    ((kind, event),) = EVENTS[name].items()
    assert without_cookie(ours(kind, event)) == without_cookie(event)


def test_every_kind_of_event_was_recorded() -> None:
    assert {kind for event in EVENTS.values() for kind in event} == {
        "process_kprobe",
        "process_lsm",
        "process_tracepoint",
    }
