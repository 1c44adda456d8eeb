# SPDX-License-Identifier: Apache-2.0
"""The common event of a policy from ring bytes to a log line, without a typed record at each stage.

One thread calls one hook again and again, and the values are often the same. What a line says of the caller
and the policy is kept under the bytes between stamp and values, what it says of the values under theirs.

Whatever is not common is left to the stages (agent.pipeline): nothing that shows is changed when it is
declined, and the bytes are the same as theirs (tests/agent/policy/test_quick.py compares them).
"""

from __future__ import annotations

from collections.abc import Container
from struct import Struct
from typing import NamedTuple, Protocol

from agent.decode.hook import HOOK, MATCH, decode_hook
from agent.enrich.process import Process, image_key
from agent.events import Garbage, HookEvent
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.log.records import Line
from agent.policy.encode import BEHIND_TIME, STACKS, HookEncoder, HookForm, policy_of
from agent.policy.shown import Notes

_KTIME = Struct("=8xQ").unpack_from
"""Of struct record_header: ktime_ns."""
_PLACE = Struct("=60xH2xI32x2I").unpack_from
"""Of struct hook_record: matches and where the values begin; of its first match: actions, suppressed."""
_VALUES_AT = HOOK.size + MATCH.size
_CALLER, _VALUES = slice(16, _VALUES_AT), slice(_VALUES_AT, None)
"""Of a record with one match: all between the stamp and the values, and the values."""
_CALLERS_MOST = 512
"""Each holds its process, which may have ended."""
_BODIES_MOST = 2048
"""Of all hooks."""
_BYTES_MOST = 512
"""Longer values are not kept."""


class _Describer(Protocol):
    """What is read of agent.enrich.describe.Describer."""

    @property
    def redactor(self) -> object: ...


class _Caller(NamedTuple):
    """A thread at a hook where one selector matched."""

    process: Process
    fragment: str | None
    parent: Process
    above: str | None
    """The parent's fragment."""
    lineage: str | None
    """The parent's."""
    key: int
    thread: tuple[int, int]
    """Its id and the hook's."""
    form: HookForm
    kind: str
    before: str
    """Up to the hook's own fields."""
    middle: str
    """Behind these, up to the time."""
    bodies: dict[bytes, str]
    """Both, by the bytes of the values."""
    tail: bytes


class QuickHooks:
    """Shares tree, settings and encoders with the stages. `living` is the tree's; `waiting` holds thread and
    hook of buffers whose event is to come."""

    def __init__(
        self,
        hooks: HookEncoder,
        living: dict[int, Process],
        describe: _Describer,
        encoder: Encoder,
        clock: WallClock,
        waiting: Container[tuple[int, int]],
    ) -> None:
        self._hooks = hooks
        self._living = living
        self._describe = describe
        self._encoder = encoder
        self._clock = clock
        self._waiting = waiting
        self._callers: dict[bytes, _Caller] = {}
        self._bodies: dict[tuple[HookForm, int], dict[bytes, str]] = {}
        self._kept = 0
        """Bodies."""
        self._made_with: tuple[int, object] = encoder.changes, describe.redactor

    def begin(self) -> None:
        """To be called ahead of a batch: after a change of settings everything is described anew."""
        made_with = self._encoder.changes, self._describe.redactor
        if made_with != self._made_with:
            self._made_with = made_with
            self._forget()

    def line(self, raw: bytes) -> tuple[str, Line] | None:
        """Type and line of a hook record; None: the stages have to do it."""
        caller = self._callers.get(raw[_CALLER])
        if caller is None:
            return self._learn(raw)
        process, fragment, parent, above, lineage, key, thread, _, kind, before, _, bodies, tail = caller
        if (
            self._living.get(key) is not process
            or process.fragment is not fragment
            or process.parent is not parent
            or parent.fragment is not above
            or parent.lineage is not lineage
        ):
            return self._learn(raw)
        body = bodies.get(raw[_VALUES])
        if body is None:
            event = decode_hook(raw)
            body = None if isinstance(event, Garbage) else self._body(raw, event, caller)
            if body is None:
                return None
        if self._waiting and thread in self._waiting:
            return None
        stamp = self._clock.text(_KTIME(raw)[0])
        return kind, (f"{before}{body}{stamp}{BEHIND_TIME}".encode(), tail)

    def _learn(self, raw: bytes) -> tuple[str, Line] | None:
        """The same, of a caller that is met for the first time, or is not any more what it was."""
        if len(raw) < _VALUES_AT:
            return None
        matches, values_at, actions, suppressed = _PLACE(raw)
        if matches != 1 or values_at > MATCH.size or actions & STACKS or suppressed:
            return None
        event = decode_hook(raw)
        if isinstance(event, Garbage):
            return None
        caller = self._caller(event)
        body = self._body(raw, event, caller) if caller else None
        if caller is None or body is None:
            return None
        if len(self._callers) >= _CALLERS_MOST:
            self._callers.clear()
        self._callers[raw[_CALLER]] = caller
        if self._waiting and caller.thread in self._waiting:
            return None
        stamp = self._clock.text(event.head.ktime_ns)
        return caller.kind, (f"{caller.before}{body}{stamp}{BEHIND_TIME}".encode(), caller.tail)

    def _caller(self, event: HookEvent) -> _Caller | None:
        head, match = event.head, event.matches[0]
        key = image_key(head.tgid, head.image_ktime)
        process = self._living.get(key)
        parent = process.parent if process else None
        form = self._hooks.form(event.hook, match)
        if process is None or parent is None or not parent.announced or form is None:
            return None
        before, middle, ancestry = self._hooks.around(form, process, head.tid)
        return _Caller(
            process,
            process.fragment,
            parent,
            parent.fragment,
            parent.lineage,
            key,
            (head.tid, event.hook),
            form,
            form.kind,
            before,
            middle,
            self._bodies.setdefault((form, len(event.values)), {}),
            f"{ancestry}{policy_of(form, match)}}}}}\n".encode(),
        )

    def _body(self, raw: bytes, event: HookEvent, caller: _Caller) -> str | None:
        """None where a value needs a note, and where a socket is another process's."""
        form = caller.form
        if form.socks:
            owner = self._hooks.owner(form, event)
            if owner is not None and owner[0] != event.head.tgid:
                return None
        is_known = len(raw) <= _VALUES_AT + _BYTES_MOST and form.is_known(event)
        notes: Notes = {}
        body = self._hooks.body(form, event, event.matches[0], notes) + caller.middle
        if notes:
            return None
        if is_known:  # they come again
            if self._kept >= _BODIES_MOST:
                self._forget()
            caller.bodies[raw[_VALUES]] = body
            self._kept += 1
        return body

    def _forget(self) -> None:
        self._callers.clear()
        self._bodies.clear()
        self._kept = 0
