# SPDX-License-Identifier: Apache-2.0
"""Policies over records of the log: every recorded call of their hooks is judged. Pure.

replay = PolicyReplay(policies, written_by(those_that_recorded))
for record in records:
    replay.take(record)
replay.close()
print([one.result.matched for one in replay.hooked])
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent.policy.model import Hook, Policy
from agent.policy.past import HookCount, Judge, Outcome
from agent.policy.people import People
from agent.policy.recorded import (
    EXECS,
    Called,
    Written,
    call_of,
    exec_call,
    function_in,
    function_of,
    spellings,
)

Record = Mapping[str, Any]
_JUDGED = ("kprobe", "fentry", "lsm", "tracepoint", "raw_tracepoint")
BY_EXECS = "execs"
_ODD = (AttributeError, TypeError, KeyError, ValueError, StopIteration)
"""What a value of another type than the agent writes leads to: somebody has changed the log."""


class Hooked(NamedTuple):
    """One hook of a policy and what became of it."""

    policy: Policy
    hook: Hook
    function: str
    result: HookCount
    why_not: str
    """Why no recorded call can be judged; empty where some can."""


class _Found(NamedTuple):
    outcome: Outcome
    source: str
    person: Mapping[str, Any]
    time: str


class PolicyReplay:
    """One run. A call that several policies recorded is judged once, by the record that tells most of it."""

    def __init__(self, policies: Sequence[Policy], written: Written) -> None:
        self.hooked = [
            Hooked(policy, hook, function_of(hook), HookCount(Judge(hook, policy)), _why_not(hook))
            for policy in policies
            for hook in policy.hooks
        ]
        self._written = written
        self._people = People()
        self._by_function: dict[str, list[int]] = {}
        for at, one in enumerate(self.hooked):
            if not one.why_not:
                self._by_function.setdefault(one.function, []).append(at)
        self._at_exec = any(function in EXECS for function in self._by_function)
        self.odd = 0
        """Records that are not as the agent writes them, which were passed over."""
        self._open: tuple[object, ...] = ()
        self._best: dict[int, _Found] = {}

    @property
    def functions(self) -> frozenset[str]:
        """Names that calls of the hooks may have in the log."""
        return frozenset(name for function in self._by_function for name in spellings(function))

    @property
    def types(self) -> frozenset[str]:
        """Types of events that are looked at whatever they name."""
        return frozenset({"process_exec"} if self._at_exec else ())

    def learn(self, record: Record) -> None:
        """Take note of a process, and judge nothing."""
        try:
            self._people.learn(record)
        except _ODD:
            self.odd += 1

    def take(self, record: Record) -> None:
        """Judge a record, in the order of the log."""
        try:
            self._take(record)
        except _ODD:
            self.odd += 1

    def _take(self, record: Record) -> None:
        self._people.learn(record)
        if "process_exec" in record:
            if self._at_exec:
                self._take_exec(record)
            return
        function = function_in(record)
        hooks = self._by_function.get(function)
        if not hooks:
            return
        event = next(value for key, value in record.items() if key.startswith("process_"))
        own = record.get("tracehound") or {}
        process = event.get("process") or {}
        key = function, own.get("caller") or process.get("exec_id"), process.get("tid"), record.get("time")
        source = str(event.get("policy_name", "?"))
        person = self._people.person(process, own.get("ancestry"))
        for at in hooks:
            called = call_of(self.hooked[at].hook, event, own, self._written)
            self._note(key, at, called, _Found(Outcome(None), source, person, str(record.get("time", ""))))

    def close(self) -> None:
        """Count the last call."""
        for at, found in self._best.items():
            self.hooked[at].result.add(found.outcome, found.source, found.person, found.time)
        self._best.clear()

    def _take_exec(self, record: Record) -> None:
        event, own = record["process_exec"], record.get("tracehound") or {}
        process, parent = event.get("process") or {}, event.get("parent") or {}
        if "execve" not in str(process.get("flags", "")):
            return  # it was there before the agent
        person = self._people.caller(process, parent, list(own.get("ancestry") or ()))
        binary = own.get("exe") or process.get("binary", "")
        for function in EXECS:
            for at in self._by_function.get(function, ()):
                called = exec_call(self.hooked[at].hook, binary)
                key = function, process.get("exec_id")
                found = _Found(Outcome(None), BY_EXECS, person, str(record.get("time", "")))
                self._note(key, at, called, found)

    def _note(self, key: tuple[object, ...], at: int, called: Called, found: _Found) -> None:
        if key != self._open:
            self.close()
            self._open = key
        outcome = self.hooked[at].result.judge.judge(called, found.person)
        before = self._best.get(at)
        if before is None or len(outcome.unsure) < len(before.outcome.unsure):
            self._best[at] = found._replace(outcome=outcome)


def people_in(record: Record) -> Iterator[str]:
    """exec_ids of the processes that have to be known to judge a record."""
    event: Record = next((value for key, value in record.items() if key.startswith("process_")), {})
    found: list[object] = []
    try:
        for name in ("process", "parent"):
            process = event.get(name) or {}
            found += (process.get("exec_id"), process.get("parent_exec_id"))
        found += (record.get("tracehound") or {}).get("ancestry") or ()
    except _ODD:
        pass  # as far as it tells
    for one in found:
        if isinstance(one, str) and one:
            yield one


def _why_not(hook: Hook) -> str:
    if hook.kind not in _JUDGED:
        return f"calls of a {hook.kind} are not judged over the past"
    return "" if "*" not in hook.target else "a pattern of functions is not judged over the past"
