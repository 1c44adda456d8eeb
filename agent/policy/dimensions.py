# SPDX-License-Identifier: Apache-2.0
"""The filters of a hook: constraints grouped by dimension, in the order in which they are judged, compiled
into the hook's maps. Reject tables for paths beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.policy.addresses import compile_addresses
from agent.policy.automaton import (
    ENTRIES_MOST,
    Automaton,
    TooLarge,
    build_automaton,
    explain_pattern,
    join,
)
from agent.policy.contents import Contents, PolicyRefused
from agent.policy.groups import Constraint, Dimension, Group
from agent.policy.integers import compile_exact, compile_mask, compile_range
from agent.policy.layout import (
    HOOK_FILTERS,
    INDEX,
    PATH_TABLES,
    RANGES_MOST,
    Field,
    FilterShape,
    Kind,
    index_key,
    pack_set,
)
from agent.policy.model import Problem
from agent.policy.pathtables import NO_TABLE, PathTable, is_rejectable
from agent.policy.texts import compile_equal, compile_postfix, compile_prefix
from agent.policy.values import Source, Value

EARLY_MOST = 4
"""Early filters of a hook: EARLY_MOST in kprobes/hook.bpf.c."""

Compiler = Callable[[Group, int, Contents], object]
COMPILERS: dict[Kind, Compiler] = {
    Kind.EXACT: compile_exact,
    Kind.RANGE: compile_range,
    Kind.MASK: compile_mask,
    Kind.ADDRESS: compile_addresses,
    Kind.EQUAL: compile_equal,
    Kind.PREFIX: compile_prefix,
    Kind.POSTFIX: compile_postfix,
}


class Filters:
    """The filters of one hook."""

    def __init__(self, constraints: Sequence[Constraint], values: Sequence[Value], is_joined: bool) -> None:
        """`is_joined`: the arguments are only there once the call that was kept at entry is found."""
        self.values = values
        self.is_joined = is_joined
        self.automaton_classes = 0
        self.notes: list[str] = []
        by_dimension: dict[Dimension, list[Constraint]] = {}
        for each in constraints:
            by_dimension.setdefault(self.dimension_here(each.dimension), []).append(each)
        check_count(by_dimension)
        self.groups = [(dimension, Group(by_dimension[dimension])) for dimension in sorted(by_dimension)]
        self.tables = [] if is_joined else self._path_tables(constraints)

    def dimension_here(self, dimension: Dimension) -> Dimension:
        """Where arguments come late, no filter on them is early."""
        of_argument = dimension.value < len(self.values) and (
            self.values[dimension.value].source is not Source.RETURN
        )
        return dimension._replace(is_late=True) if self.is_joined and of_argument else dimension

    def _path_tables(self, constraints: Sequence[Constraint]) -> list[tuple[int, PathTable]]:
        texts: dict[int, list[Constraint]] = {}
        for each in constraints:
            if each.dimension.field is Field.TEXT:
                texts.setdefault(each.dimension.value, []).append(each)
        tables = [
            (position, PathTable(texts[position]))
            for position in sorted(texts)
            if is_rejectable(self.values[position])
        ]
        return [(position, table) for position, table in tables if table.asks][:PATH_TABLES]

    @property
    def early(self) -> int:
        """How many filters are judged before everything else; they stand first."""
        return min(EARLY_MOST, sum(not dimension.is_late for dimension, _ in self.groups))

    def shapes(self) -> list[FilterShape]:
        """struct filter_shape of each."""
        return [
            FilterShape(d.kind, d.field, d.value, d.other, at < self.early, d.is_signed)
            for at, (d, _) in enumerate(self.groups)
        ]

    def path_tables(self) -> list[bytes]:
        """struct path_table of each."""
        tables = [table.pack() for _, table in self.tables]
        return tables + [NO_TABLE] * (PATH_TABLES - len(tables))

    def compile(self, into: Contents) -> None:
        """Fills the maps."""
        patterns = [(n, group) for n, (d, group) in enumerate(self.groups) if d.kind is Kind.AUTOMATON]
        if patterns:
            self._compile_patterns(patterns, into)
        for number, (dimension, group) in enumerate(self.groups):
            if dimension.kind is Kind.AUTOMATON:
                continue
            if dimension.kind is not Kind.RANGE:
                COMPILERS[dimension.kind](group, number, into)
            elif compile_range(group, number, into) > RANGES_MOST:
                raise PolicyRefused([too_many_ranges(group)])

    def _compile_patterns(self, patterns: Sequence[tuple[int, Group]], into: Contents) -> None:
        """One automaton for each value that is looked at; a filter's table says where its own starts."""
        group = patterns[0][1]
        automata = []
        try:
            for _, group in patterns:
                automata.append(build_automaton([each.values for each in group.constraints]))
            joined, starts = join(automata)
        except ValueError as error:
            raise PolicyRefused(automaton_problems(group, error)) from error
        self.automaton_classes = joined.classes
        fill_automaton(joined, into)
        for (number, group), automaton, start in zip(patterns, automata, starts, strict=True):
            into.append("automaton_sets", [pack_set(group.satisfied(hit)) for hit in automaton.hits])
            into.table(number, group.otherwise, start)
        self.notes.append(f"patterns: {len(joined.hits)} states of {joined.classes} classes of bytes")


def fill_automaton(automaton: Automaton, into: Contents) -> None:
    """automaton_bytes, automaton_next."""
    for name, row in (("automaton_bytes", automaton.class_of), ("automaton_next", automaton.next)):
        into.maps[name] = {index_key(at): INDEX.pack(each) for at, each in enumerate(row)}


def check_count(by_dimension: dict[Dimension, list[Constraint]]) -> None:
    """More filters than a hook can have are refused, in the name of each constraint that is one too many."""
    too_much = [constraints[0] for constraints in by_dimension.values()][HOOK_FILTERS:]
    problems = [
        Problem(
            each.where,
            f"policy {each.policy}: this is a filter more than the {HOOK_FILTERS} that a hook can have",
            "filters of all policies on the function count, each operator on each argument once",
        )
        for each in too_much
    ]
    if problems:
        raise PolicyRefused(problems)


def too_many_ranges(group: Group) -> Problem:
    """More elementary intervals than the kernel searches."""
    each = group.constraints[-1]
    return Problem(
        each.where,
        f"policy {each.policy}: all ranges asked of this value make more than {RANGES_MOST} intervals",
        "use fewer or adjoining ranges",
    )


def automaton_problems(group: Group, error: ValueError) -> list[Problem]:
    """What is wrong with each pattern; or that they are too large together."""
    found = [
        Problem(each.where, f"policy {each.policy}: {reason}")
        for each in group.constraints
        for pattern in each.values
        if (reason := explain_pattern(pattern))
    ]
    if found:
        return found
    names = ", ".join(sorted({each.policy for each in group.constraints}))
    bound = f"(bound: {ENTRIES_MOST} transitions)" if isinstance(error, TooLarge) else ""
    text = f"the patterns of {names} need {error} together {bound}"
    return [Problem(group.constraints[-1].where, text, "use fewer patterns on this hook")]
