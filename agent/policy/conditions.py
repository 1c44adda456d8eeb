# SPDX-License-Identifier: Apache-2.0
"""From the filters of a selector to constraints on dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.policy.deeds import Phase
from agent.policy.groups import Constraint, Dimension
from agent.policy.layout import NO_VALUE, Field, Kind
from agent.policy.model import (
    ArgumentFilter,
    CapabilityFilter,
    Hook,
    NamespaceFilter,
    Selector,
    Where,
)
from agent.policy.operators import Wanted, as_integers, fits, read_operator
from agent.policy.values import HookUse, Source, Value, ValueFlag

NAMESPACES = (
    "uts",
    "ipc",
    "mnt",
    "pid",
    "pid_for_children",
    "net",
    "time",
    "time_for_children",
    "cgroup",
    "user",
)
"""By number of enum namespace_slot (kprobes/include/wire.h)."""
EARLY_SOURCES = {Source.ARGUMENT, Source.RETURN, Source.FIELD, Source.REGISTER}
EARLY_FIELDS = {Field.TGID, Field.UID}
"""Of the process, and one helper call away."""
EARLY_KINDS = {Kind.EXACT, Kind.RANGE, Kind.MASK}


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """What compiled hooks depend on."""

    has_atomics: bool = True
    """Fetching atomic instructions: Linux kernel commit 5ca419f2864a "bpf: Add BPF_FETCH field" (in
    v5.12)."""
    has_cast: bool = True
    """kfunc bpf_rdonly_cast: commit a35b9af4ec2c "bpf: Add a kfunc for generic type cast" (in v6.2)."""
    has_override: bool = True
    """Helper bpf_override_return (CONFIG_BPF_KPROBE_OVERRIDE): a program may not name it where it is not."""
    guards: bool = False
    """Tasks are preempted inside programs, and programs can forbid it for a while (KernelView.guards)."""
    host_namespaces: Mapping[str, int] = field(default_factory=dict)
    """Inode numbers of the host's namespaces by slot name, for `host_ns`."""


class Wrong(Exception):
    """A filter that cannot be compiled: why, and where it stands."""

    def __init__(self, text: str, where: Where) -> None:
        super().__init__(text)
        self.text, self.where = text, where


class Conditions:
    """Constraints of one selector, one filter after the other."""

    def __init__(
        self, use: HookUse, bit: int, positions: Mapping[Value, int], facts: KernelFacts, phase: Phase
    ) -> None:
        self.use = use
        self.bit = bit
        self.positions = positions
        self.facts = facts
        self.phase = phase
        self._masks: dict[Dimension, int] = {}

    def of(self, selector: Selector) -> Iterator[Constraint]:
        """All constraints of the selector on the call and on the current task."""
        for each in self.filters(selector.arguments, 0):
            yield from self.argument(*each)
        for each in self.filters(selector.data, len(self.use.hook.arguments)):
            yield from self.argument(*each)
        if self.phase is not Phase.ENTRY:
            for each in self.filters(selector.return_arguments, return_position(self.use.hook)):
                yield from self.argument(*each)
        yield from self.process(selector)

    def filters(
        self, filters: Sequence[ArgumentFilter], first: int
    ) -> Iterator[tuple[ArgumentFilter, int, int | None]]:
        for each in filters:
            yield each, first + each.argument, None if each.other is None else first + each.other

    def argument(self, each: ArgumentFilter, position: int, other: int | None) -> Iterator[Constraint]:
        """matchArgs, matchData, matchReturnArgs."""
        value = self.use.values[position]
        try:
            wanted, negated = read_operator(each.operator, value, each.values)
        except (ValueError, KeyError) as error:
            raise Wrong(f"{each.operator}: {error}", each.where) from error
        if not fits(wanted.field, value.type):
            raise Wrong(f"{each.operator} does not work on a value of type {value.type.name}", each.where)
        second = NO_VALUE if other is None else self.positions[self.use.values[other]]
        yield self.constraint(
            wanted, negated, each.where, self.positions[value], second, is_early(value, wanted)
        )

    def process(self, selector: Selector) -> Iterator[Constraint]:
        """Filters on the current task that its class does not answer."""
        for pids in selector.pids:
            if not pids.follow_forks:
                yield self.pids(pids.is_in, pids.values, pids.in_namespace, pids.where)
        for namespaces in selector.namespaces:
            yield self.namespaces(namespaces)
        for changes in selector.namespace_changes:
            slots = sum(1 << NAMESPACES.index(name) for name in set(changes.namespaces))
            yield self.task(Kind.MASK, Field.NAMESPACE_CHANGED, (slots,), not changes.is_in, changes.where)
        for capabilities in selector.capabilities:
            yield self.capabilities(capabilities, "CAP_{}")
        for capabilities in selector.capability_changes:
            yield self.capabilities(capabilities, "CAP_{}_CHANGED")
        for ids in selector.credentials:
            wanted = as_integers(Field[ids.field.upper()], ids.ranges)
            yield self.constraint(wanted, not ids.is_in, ids.where)

    def pids(self, is_in: bool, pids: Sequence[int], in_namespace: bool, where: Where) -> Constraint:
        """matchPIDs. A process of the host's pid namespace has no pid of its own namespace: 0 never holds."""
        if not in_namespace:
            return self.task(Kind.EXACT, Field.TGID, [(pid, pid) for pid in pids], not is_in, where)
        chosen = set(pids) - {0} if is_in else {*pids, 0}
        return self.task(Kind.EXACT, Field.NSPID, [(pid, pid) for pid in sorted(chosen)], not is_in, where)

    def namespaces(self, each: NamespaceFilter) -> Constraint:
        name = each.namespaces[0]
        if "host_ns" in each.values and name not in self.facts.host_namespaces:
            raise Wrong(f"the host's {name} namespace is not known here", each.where)
        numbers = [
            self.facts.host_namespaces[name] if value == "host_ns" else int(value, 0) for value in each.values
        ]
        pairs = [(number, number) for number in numbers]
        return self.task(
            Kind.EXACT, Field.NAMESPACE, pairs, not each.is_in, each.where, NAMESPACES.index(name)
        )

    def capabilities(self, each: CapabilityFilter, name: str) -> Constraint:
        which = Field[name.format(each.kind.upper())]
        return self.task(
            Kind.MASK, which, (each.mask,), not each.is_in, each.where, int(not each.in_namespace)
        )

    def task(
        self,
        kind: Kind,
        which: Field,
        values: Sequence[Any],
        negated: bool,
        where: Where,
        other: int = NO_VALUE,
    ) -> Constraint:
        return self.constraint(Wanted(kind, which, tuple(values)), negated, where, other=other)

    def constraint(
        self,
        wanted: Wanted,
        negated: bool,
        where: Where,
        value: int = NO_VALUE,
        other: int = NO_VALUE,
        is_early: bool | None = None,
    ) -> Constraint:
        """With its dimension. A second mask that must hold has a filter of its own."""
        early = wanted.field in EARLY_FIELDS if is_early is None else is_early
        dimension = Dimension(
            not early,
            wanted.kind,
            wanted.field,
            value,
            other,
            is_signed=wanted.is_signed and wanted.kind == Kind.RANGE,
        )
        if wanted.kind is Kind.MASK and not negated:
            layer = self._masks.get(dimension, 0)
            self._masks[dimension] = layer + 1
            dimension = dimension._replace(layer=layer)
        return Constraint(dimension, self.bit, negated, wanted.values, self.use.policy, where)


def return_position(hook: Hook) -> int:
    """Where the return value stands in HookUse.values."""
    return len(hook.arguments) + len(hook.data)


def is_early(value: Value, wanted: Wanted) -> bool:
    """Whether an integer is had without following a pointer."""
    steps = 1 if value.source in (Source.FIELD, Source.REGISTER) else 0
    return (
        wanted.kind in EARLY_KINDS
        and wanted.field is Field.INTEGER
        and value.source in EARLY_SOURCES
        and len(value.steps) <= steps
        and not value.flags & ValueFlag.IS_ADDRESS
    )
