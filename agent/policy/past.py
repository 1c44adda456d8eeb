# SPDX-License-Identifier: Apache-2.0
"""What a policy would have done with the calls that the log has, by the model of the selectors.

Three answers to each filter: it holds, it does not, or the log cannot tell, with the reason. A filter that
surely does not hold decides without the others; what is left open makes a selector unsure. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.policy.meanings import capability_bit, family_number, protocol_number, socket_state
from agent.policy.model import ArgumentFilter, CapabilityFilter, Hook, Policy, Selector
from agent.policy.quantities import parse_integer
from agent.policy.recorded import Called, Missing, kind_of
from agent.policy.semantics import CAPABILITIES, SIZES, SOCKET_OPERATORS, TEXT_OPERATORS, checks_of
from agent.policy.told import ENFORCING, wording

Rule = dict[str, Any]
NO_MODEL = "the model does not have it"
AT_EXEC = "taken as at the exec of the process; a change since then is not recorded"
NOW_ONLY = "changes after the exec are not recorded"
_NAMED_VALUES: Mapping[str, Callable[[str], int]] = {
    "Protocol": protocol_number,
    "Family": family_number,
    "State": socket_state,
}
_CAPABILITY_NAMES = {bit: name for name, bit in CAPABILITIES.items()}


class Filter(NamedTuple):
    """One entry of a selector's filter."""

    key: str
    """`matchArgs`, ..."""
    rule: Rule
    """As the model takes it."""
    position: int | None = None
    """Of the argument that is asked."""
    why: str = ""
    """Why the log never tells; empty where it may."""
    needs: str = ""
    """What has to be known of the process."""
    assumed: str = ""
    """Why an answer may be another one than at the call."""


class Outcome(NamedTuple):
    """What became of a call."""

    selector: int | None
    """Position of the first one that surely matched; None when none did."""
    unsure: tuple[tuple[int, str], ...] = ()
    """Selectors before it (or all) that may have matched, with the reason."""
    assumed: frozenset[tuple[int, str]] = frozenset()
    """What answers rest on, by selector."""


class Judge:
    """One hook of a policy."""

    def __init__(self, hook: Hook, policy: Policy) -> None:
        self.hook = hook
        self.selectors = hook.selectors or (Selector(),)
        self._kinds = [kind_of(argument) or "?" for argument in hook.arguments]
        self._returned = kind_of(hook.return_argument) if hook.return_argument else ""
        self._filters = [list(self._filters_of(one, policy)) for one in self.selectors]
        self._form = {
            "args": [{"type": kind} for kind in self._kinds],
            "returnArg": {"type": self._returned},
        }

    def judge(self, called: Called, person: Mapping[str, Any]) -> Outcome:
        """The first selector that matches, and what is not known."""
        call = {"arguments": called.arguments, "result": called.result, "process": person}
        checks = checks_of(self._form, call)
        unsure: list[tuple[int, str]] = []
        assumed: set[tuple[int, str]] = set()
        for at, filters in enumerate(self._filters):
            open_: list[str] = []
            rests: set[str] = set()
            for one in filters:
                why = one.why or _missing(one, called, person)
                if why:
                    open_.append(f"{one.key}: {why}")
                elif not checks[one.key](one.rule):
                    break
                elif one.assumed or (one.position is not None and called.assumed):
                    rests.add(f"{one.key}: {one.assumed or called.assumed}")
            else:
                assumed |= {(at, text) for text in rests}
                if not open_:
                    return Outcome(at, tuple(unsure), frozenset(assumed))
                unsure += [(at, text) for text in open_]
        return Outcome(None, tuple(unsure), frozenset(assumed))

    def actions(self, at: int) -> list[str]:
        """What a selector does to a call, in words; empty when it only tells."""
        return [wording(one) for one in self.selectors[at].actions if one.name in ENFORCING]

    def _filters_of(self, selector: Selector, policy: Policy) -> Iterator[Filter]:
        for one in selector.arguments:
            yield self._argument_filter("matchArgs", one, self._kinds[one.argument])
        for one in selector.return_arguments:
            yield self._argument_filter("matchReturnArgs", one, self._returned)
        if selector.data:
            yield Filter("matchData", {}, why=NO_MODEL)
        yield from _of_process(selector)
        for workload in (policy.workload, selector.workload):
            if workload is not None:
                yield Filter("podSelector", {}, why="labels of pods and containers are not asked of the past")

    def _argument_filter(self, key: str, one: ArgumentFilter, kind: str) -> Filter:
        operator = one.operator.removeprefix("Not")
        why = "" if _has_model(kind, operator) else f"{one.operator} on this type: {NO_MODEL}"
        values = {} if why or not one.values else {"values": [_value(kind, operator, v) for v in one.values]}
        rule = {"args": [one.argument], "operator": one.operator, **values}
        return Filter(key, rule, one.argument if key == "matchArgs" else None, why)


def _has_model(kind: str, operator: str) -> bool:
    if kind in SIZES:
        return operator in ("Equal", "InMap", "GT", "LT", "Mask", "InRange")
    return operator in {"sock": SOCKET_OPERATORS, "file": TEXT_OPERATORS, "string": TEXT_OPERATORS}.get(
        kind, {}
    )


def _value(kind: str, operator: str, text: str) -> str:
    """As the model reads it: numbers in decimal."""
    if operator in _NAMED_VALUES:
        return str(_NAMED_VALUES[operator](text))
    if operator in ("SPort", "DPort") or kind in SIZES:
        return ":".join(str(_number(part)) for part in text.split(":"))
    return text.rstrip("\0")


def _number(text: str) -> int:
    return capability_bit(text) if text.upper().startswith("CAP_") else parse_integer(text)


def _of_process(selector: Selector) -> Iterator[Filter]:
    for pid in selector.pids:
        rule = {"operator": _in(pid.is_in), "values": pid.values, "followForks": pid.follow_forks}
        needs = ("whole" if pid.follow_forks else "") or ("nspid" if pid.in_namespace else "")
        yield Filter("matchPIDs", rule | {"isNamespacePID": pid.in_namespace}, needs=needs)
    for key, binaries in (
        ("matchBinaries", selector.binaries),
        ("matchParentBinaries", selector.parent_binaries),
    ):
        for one in binaries:
            rule = {"operator": one.operator, "values": one.values, "followChildren": one.follow_children}
            yield Filter(key, rule, needs="whole" if one.follow_children else "")
    for namespace in selector.namespaces:
        rule = {
            "namespace": namespace.namespaces[0],
            "operator": _in(namespace.is_in),
            "values": namespace.values,
        }
        yield Filter("matchNamespaces", rule, needs="namespaces", assumed=AT_EXEC)
    for capability in selector.capabilities:
        yield Filter("matchCapabilities", _capabilities(capability), needs=capability.kind, assumed=AT_EXEC)
    for credential in selector.credentials:
        ranges = [f"{low}:{high}" for low, high in credential.ranges]
        rule = {"field": credential.field, "operator": _in(credential.is_in), "values": ranges}
        yield Filter("matchCurrentCred", rule, needs="ids", assumed=AT_EXEC)
    if selector.namespace_changes:
        yield Filter("matchNamespaceChanges", {}, why=NOW_ONLY)
    if selector.capability_changes:
        yield Filter("matchCapabilityChanges", {}, why=NOW_ONLY)


def _in(is_in: bool) -> str:
    return "In" if is_in else "NotIn"


def _capabilities(one: CapabilityFilter) -> Rule:
    names = [name for bit, name in _CAPABILITY_NAMES.items() if one.mask >> bit & 1]
    return {
        "type": one.kind, "operator": _in(one.is_in), "values": names,
        "isNamespaceCapability": one.in_namespace,
    }  # fmt: skip


def _missing(one: Filter, called: Called, person: Mapping[str, Any]) -> str:
    """Why this call does not tell; empty when it does."""
    value = called.arguments[one.position] if one.position is not None else None
    if one.key == "matchReturnArgs":
        value = called.result
    if isinstance(value, Missing):
        return value.why
    if one.needs == "whole" and not person.get("whole", True):
        return "not all ancestors of the process are in the log"
    if one.needs and one.needs not in person:
        return "the exec of the process is not in the log, or did not record it"
    return ""


@dataclass(slots=True)
class SelectorCount:
    """Of one selector."""

    matched: int = 0
    unsure: int = 0
    """Calls of which the log cannot tell whether it matched."""
    actions: Counter[str] = field(default_factory=Counter)
    binaries: Counter[str] = field(default_factory=Counter)
    """Who made the calls that matched."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why it is not known, with the calls that it concerns."""
    assumed: set[str] = field(default_factory=set)
    """What answers rest on."""
    first: str = ""
    last: str = ""
    """Times of the first and the last call that matched."""


@dataclass(slots=True)
class HookCount:
    """Of one hook of a policy."""

    judge: Judge
    calls: int = 0
    """Recorded ones."""
    matched: int = 0
    unsure: int = 0
    """No selector surely matched, some may have."""
    sources: Counter[str] = field(default_factory=Counter)
    """Policies that recorded the calls, or `execs`."""
    selectors: list[SelectorCount] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.selectors = [SelectorCount() for _ in self.judge.selectors]

    def add(self, outcome: Outcome, source: str, person: Mapping[str, Any], time: str) -> None:
        """One call more."""
        self.calls += 1
        self.sources[source] += 1
        for at, why in dict(outcome.unsure).items():
            self.selectors[at].unsure += 1
            self.selectors[at].reasons[why] += 1
        for at, text in outcome.assumed:
            self.selectors[at].assumed.add(text)
        if outcome.selector is None:
            self.unsure += bool(outcome.unsure)
            return
        self.matched += 1
        one = self.selectors[outcome.selector]
        one.matched += 1
        one.actions.update(self.judge.actions(outcome.selector))
        one.binaries[str(person.get("binary", ""))] += 1
        one.first, one.last = one.first or time, time
