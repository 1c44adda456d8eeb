# SPDX-License-Identifier: Apache-2.0
"""What a compiled hook does with a call, in the order in which it does it, and about what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from agent.policy.compile import CompiledHook
from agent.policy.layout import (
    FILTER,
    HOOK_VALUES,
    NO_VALUE,
    PATH_TABLES,
    SHAPE_HEAD,
    VALUE,
    Field,
    HookFlag,
    Kind,
)
from agent.policy.shapes import union_of_values
from agent.policy.values import HookKey, HookUse, Source, Value, ValueType

ATTACHED = {
    "fentry": 135, "fexit": 145, "fmod_ret": 190, "lsm": 186, "tp_btf": 135, "raw_tp": 200, "tracepoint": 330,
    "kprobe": 365, "kretprobe": 800, "sys_enter": 260, "sys_exit": 260,
}  # fmt: skip
"""Instructions of an empty program of each kind on Linux 6.12, x86-64 (instructions counted in a VM)."""
JUMP, CLASSES, EARLY, LATE, SCRATCH, SEND, SEND_VALUE = 200, 60, 30, 110, 60, 700, 220
"""Dispatcher, tables and the first constants; then by what is done. `make bench-vm ARGS="--only estimates"`
compares all of this with the kernel's count."""
SOCKET_READ, ADDRESS = 350, 300
"""Reading what is kept of a socket or an address; looking an address up among networks."""
BUCKETS = {True: 350, False: 950}
"""Walk over dentries, by whether types can be cast (6.2)."""
TEXT = {ValueType.STRING: 250}
PATH_TEXT = 650
_PATHS = {ValueType.FILE, ValueType.PATH, ValueType.DENTRY, ValueType.FD, ValueType.KIOCB, ValueType.BINPRM}
_SOCKETS = {ValueType.SOCK, ValueType.SOCKET, ValueType.SKB, ValueType.SOCKADDR}
_ASKS = {1: "top components", 2: "last component", 4: "last two bytes"}
_TEXTS = (Kind.EQUAL, Kind.PREFIX, Kind.POSTFIX, Kind.AUTOMATON)


class Step(NamedTuple):
    """One thing that is looked at."""

    text: str
    instructions: int
    """About, each time it is reached."""


class Steps(NamedTuple):
    """What happens to a call."""

    attached: int
    """Instructions of being called at all."""
    filters: tuple[Step, ...]
    """In order; the first that leaves no selector ends it."""
    sending: int
    """Instructions of an event."""

    @property
    def rejected(self) -> int:
        """Of a call that the first filter sends away; of a hook without filters there is none."""
        return self.attached + (self.filters[0].instructions if self.filters else self.sending)

    @property
    def matched(self) -> int:
        """Of a call that matches and is posted."""
        return self.attached + sum(step.instructions for step in self.filters) + self.sending


def steps_of(key: HookKey, compiled: CompiledHook, uses: Sequence[HookUse]) -> Steps:
    """Reads them out of the constants that the program is loaded with."""
    head = SHAPE_HEAD.unpack_from(compiled.shape)
    flags, count, early, has_cast = HookFlag(head[1]), head[4], head[5], bool(head[8])
    values = union_of_values(uses, HOOK_VALUES)
    at = SHAPE_HEAD.size + VALUE.size * HOOK_VALUES
    filters = [FILTER.unpack_from(compiled.shape, at + FILTER.size * n) for n in range(count)]
    steps = [Step("classes of the process (binary, parent, pids, workload)", CLASSES)]
    steps = steps if flags & HookFlag.ASKS_CLASSES else []
    steps += [Step(_early(each, values), EARLY) for each in filters[:early]]
    steps += _path_steps(head[9:], values, has_cast)
    late = _late_steps(filters[early:], values)
    reading = SCRATCH + SOCKET_READ * sum(value.type in _SOCKETS for value in values)
    sending = SEND + SEND_VALUE * len(values) + (0 if late else reading)
    steps += [step._replace(instructions=step.instructions + reading) for step in late[:1]] + late[1:]
    return Steps(ATTACHED.get(key.attach, 300) + JUMP, tuple(steps), sending)


def _path_steps(parts: Sequence[int], values: Sequence[Value], has_cast: bool) -> list[Step]:
    return [
        Step(f"{_shown(value, values)}: buckets of its {_asked(asks)}; no path is built", BUCKETS[has_cast])
        for value, asks in zip(parts[:PATH_TABLES], parts[PATH_TABLES:], strict=True)
        if value != NO_VALUE and asks
    ]


def _late_steps(filters: Sequence[tuple[int, ...]], values: Sequence[Value]) -> list[Step]:
    """Filters on the same text read it once."""
    read: set[int] = set()
    found = []
    for kind, field, value, *_ in filters:
        cost = LATE + (ADDRESS if kind == Kind.ADDRESS else 0)
        if kind in _TEXTS and value not in read and value < len(values):
            read.add(value)
            cost += PATH_TEXT if values[value].type in _PATHS else TEXT.get(values[value].type, 300)
        found.append(Step(f"{_named(field, value, values)}: {Kind(kind).name.lower()}", cost))
    return found


def _early(shape: tuple[int, ...], values: Sequence[Value]) -> str:
    kind, field, value, *_ = shape
    return f"{_named(field, value, values)}: {Kind(kind).name.lower()}, before anything is read"


def _named(field: int, value: int, values: Sequence[Value]) -> str:
    name = Field(field).name.lower()
    if value >= len(values):
        return name.replace("_", " ")
    shown = _shown(value, values)
    return shown if Field(field) in (Field.INTEGER, Field.TEXT) else f"{name} of {shown}"


def _shown(value: int, values: Sequence[Value]) -> str:
    one = values[value]
    source = f"argument {one.index}" if one.source is Source.ARGUMENT else one.source.name.lower()
    return f"{one.type.name.lower()} {source}"


def _asked(asks: int) -> str:
    return ", ".join(text for bit, text in _ASKS.items() if asks & bit)
