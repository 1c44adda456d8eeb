# SPDX-License-Identifier: Apache-2.0
"""Deterministic automata for the patterns of a hook: trees -> Thompson's NFA -> subset construction. One for
each value that patterns look at, all in one table.

A pattern is looked for anywhere in the text: after each byte all patterns begin again. Once a constraint has
been met it stays so, and its part of the NFA is dropped: its state says which constraints hold already. Bytes
that no pattern tells apart are one class. Bounded: states x classes <= ENTRIES_MOST.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from agent.policy import regex
from agent.policy.groups import members_of
from agent.policy.operators import Pattern
from agent.policy.regex import ALL_BYTES, Edge, Node, One, Repeat, Row, literal

ENTRIES_MOST = 65536
"""Of automaton_next: 512 KiB of kernel memory."""
NFA_STATES_MOST = 20_000
KEPT = 16
"""Automata that were used last: a change of a hook mostly asks for those that it had. One takes 128 KiB."""
LITERAL_FITS = 200
"""Bytes of a text that always fits: it has about as many states and classes."""


class TooLarge(ValueError):
    """The automaton would pass its bound."""


class Automaton(NamedTuple):
    """What the kernel runs; state 0 is the start, unless several were joined."""

    class_of: tuple[int, ...]
    """By byte."""
    classes: int
    next: Sequence[int]
    """By state * classes + class."""
    hits: tuple[int, ...]
    """By state: the constraints that hold for a text that ends there."""


def tree(pattern: Pattern) -> Node:
    """The pattern as a regular expression that is looked for anywhere."""
    if pattern.kind == "Regex":
        return regex.parse(pattern.text)
    ends = {"Prefix": ((Edge(False),), ()), "Postfix": ((), (Edge(True),))}
    before, after = ends.get(pattern.kind, ((), ()))
    return Row((*before, literal(pattern.text, pattern.kind == "SubStringIgnCase"), *after))


class Nfa:
    """States with byte moves and silent ones; those at an edge of the text count at that edge only."""

    def __init__(self) -> None:
        self.moves: list[list[tuple[int, int]]] = []
        self.silent: list[list[int]] = []
        self.edges: tuple[list[list[int]], list[list[int]]] = ([], [])
        """At the beginning, at the end."""

    def state(self) -> int:
        """A new state."""
        if len(self.moves) >= NFA_STATES_MOST:
            raise TooLarge(f"more than {NFA_STATES_MOST} positions")
        for part in (self.moves, self.silent, *self.edges):
            part.append([])
        return len(self.moves) - 1

    def add(self, node: Node, start: int) -> int:
        """Appends what the node matches behind `start`; returns the state after it."""
        if isinstance(node, Row):
            for part in node.parts:
                start = self.add(part, start)
            return start
        if isinstance(node, Repeat):
            return self.repeat(node, start)
        end = self.state()
        if isinstance(node, One):
            self.moves[start].append((node.of, end))
        elif isinstance(node, Edge):
            self.edges[node.is_end][start].append(end)
        else:
            for part in node.parts:
                self.silent[self.add(part, start)].append(end)
        return end

    def repeat(self, node: Repeat, start: int) -> int:
        """`least` copies in a row, then either a loop or what may follow."""
        for _ in range(node.least):
            start = self.add(node.part, start)
        if node.most is None:
            loop = self.state()
            self.silent[start].append(loop)
            self.silent[self.add(node.part, loop)].append(loop)
            return self.leave(loop)
        end = self.state()
        for _ in range(node.most - node.least):
            self.silent[start].append(end)
            start = self.add(node.part, self.leave(start))
        self.silent[start].append(end)
        return end

    def leave(self, state: int) -> int:
        """A state behind another, so that what follows does not lead back into a loop."""
        end = self.state()
        self.silent[state].append(end)
        return end

    def reach(self, states: int, *edges: int) -> int:
        """All that is reached without a byte; `edges`: 0 at the text's beginning, 1 at its end."""
        seen, new = states, members_of(states)
        while new:
            state = new.pop()
            for target in (*self.silent[state], *(t for e in edges for t in self.edges[e][state])):
                if not seen >> target & 1:
                    seen |= 1 << target
                    new.append(target)
        return seen


class _Builder:
    def __init__(self, constraints: Sequence[Sequence[Pattern]]) -> None:
        self.nfa = Nfa()
        self.accepts: dict[int, int] = {}
        self.owned: list[int] = []
        starts = [self.constraint(number, patterns) for number, patterns in enumerate(constraints)]
        self.begins = sum(1 << start for start in starts)
        self.closures: dict[int, int] = {}
        self.again = self.nfa.reach(self.begins)
        self.again_ends = self.nfa.reach(self.again, 1)
        self.after_again = list[int]()
        """By class: what follows on those that begin again after each byte."""
        self.accepting = sum(1 << state for state in self.accepts)

    def constraint(self, number: int, patterns: Sequence[Pattern]) -> int:
        first = start = self.nfa.state()
        for pattern in patterns:
            branch = self.nfa.leave(start)
            self.accepts[self.nfa.add(tree(pattern), branch)] = number
        self.owned.append((1 << len(self.nfa.moves)) - (1 << first))
        return start

    def classes(self) -> tuple[list[int], list[int]]:
        """Class of each byte, and one byte of each class."""
        blocks = [ALL_BYTES]
        for some in sorted({of for moves in self.nfa.moves for of, _ in moves}):
            blocks = [part for block in blocks for part in (block & some, block & ~some) if part]
        blocks.sort(key=lambda block: block & -block)
        of = {byte: number for number, block in enumerate(blocks) for byte in members_of(block)}
        return [of[byte] for byte in range(256)], [members_of(block)[0] for block in blocks]

    def hit(self, states: int) -> int:
        """Constraints that are met in these states."""
        found = 0
        for state in members_of(states & self.accepting):
            found |= 1 << self.accepts[state]
        return found

    def settle(self, states: int, hit: int) -> tuple[int, int]:
        """A state of the automaton: what is met stays met and needs no more states."""
        hit |= self.hit(states)
        for number in members_of(hit):
            states &= ~self.owned[number]
        return states, hit

    def closure(self, state: int) -> int:
        found = self.closures.get(state)
        if found is None:
            found = self.closures[state] = self.nfa.reach(1 << state)
        return found

    def successors(self, states: int, bytes_of: Sequence[int]) -> list[int]:
        """By class, the states after a byte of it. Those that begin again are in nearly every state and are
        followed once, not each time; of a constraint that is met already, `settle` drops them."""
        if not self.after_again:
            self.after_again = self.follow(self.again, [self.again] * len(bytes_of), bytes_of)
        return self.follow(states & ~self.again, list(self.after_again), bytes_of)

    def follow(self, states: int, after: list[int], bytes_of: Sequence[int]) -> list[int]:
        """Adds to `after` what is reached from these states."""
        for state in members_of(states):
            for some, target in self.nfa.moves[state]:
                reached = self.closure(target)
                for number, byte in enumerate(bytes_of):
                    if some >> byte & 1:
                        after[number] |= reached
        return after

    def build(self) -> Automaton:
        class_of, bytes_of = self.classes()
        most = ENTRIES_MOST // len(bytes_of)
        known = {self.settle(self.nfa.reach(self.begins, 0), 0): 0}
        todo, following = list(known), []
        ends = [self.end(*todo[0], True)]
        for states, hit in todo:
            for reached in self.successors(states, bytes_of):
                after = self.settle(reached, hit)
                if after not in known:
                    if len(known) >= most:
                        raise TooLarge(f"more than {most} states")
                    known[after] = len(known)
                    todo.append(after)
                    ends.append(self.end(*after))
                following.append(known[after])
        return Automaton(tuple(class_of), len(bytes_of), array("H", following), tuple(ends))

    def end(self, states: int, hit: int, is_start: bool = False) -> int:
        """What is met when the text ends here."""
        if is_start:
            return hit | self.hit(self.nfa.reach(states, 0, 1))
        return hit | self.hit(self.again_ends | self.nfa.reach(states & ~self.again, 1))


def build_automaton(constraints: Sequence[Sequence[Pattern]]) -> Automaton:
    """The automaton for several constraints, each met by any of its patterns. TooLarge, or ValueError for a
    pattern that is not understood."""
    return _built(tuple(map(tuple, constraints)))


@lru_cache(maxsize=KEPT)
def _built(constraints: tuple[tuple[Pattern, ...], ...]) -> Automaton:
    return _Builder(constraints).build()


def join(automata: Sequence[Automaton]) -> tuple[Automaton, list[int]]:
    """Several in one table, and where each starts: the states of one behind those of the other, bytes told
    apart as far as any of them does. Raises TooLarge."""
    of_bytes = list(zip(*(each.class_of for each in automata), strict=True))
    numbers = {together: at for at, together in enumerate(dict.fromkeys(of_bytes))}
    starts, following, hits = list[int](), list[int](), list[int]()
    for at, each in enumerate(automata):
        starts.append(len(hits))
        for state in range(len(each.hits)):
            row = (each.next[state * each.classes + together[at]] for together in numbers)
            following += [starts[at] + after for after in row]
        hits += each.hits
    if len(following) > ENTRIES_MOST:
        raise TooLarge(f"{len(hits)} states")
    class_of = tuple(numbers[together] for together in of_bytes)
    return Automaton(class_of, len(numbers), array("H", following), tuple(hits)), starts


def explain_pattern(pattern: Pattern) -> str:
    """Why a pattern cannot be compiled on its own; empty when it can."""
    if pattern.kind != "Regex" and len(pattern.text.encode()) <= LITERAL_FITS:
        return ""
    try:
        build_automaton([[pattern]])
    except TooLarge as error:
        return f"`{pattern.text[:80]}` needs {error}: use fewer repetitions and alternatives"
    except ValueError as error:
        return str(error)
    return ""
