# SPDX-License-Identifier: Apache-2.0
"""Rules of one view → generated Python, asked only of events that hold what a rule cannot do without.

Of every event the values of the fields in use are read once. Then, in this order:

1. Answers are remembered by these values: what runs again and again costs one look-up.
2. Fields become folded texts, `NUL value NUL`, so that equals, startswith, endswith and contains are all one
   `in`. One Aho-Corasick automaton per field finds which rules' texts (agent/detect/literals.py) stand in
   it. Rules of which none does cannot match; those without such texts are always candidates.
3. Candidates are one generated function each: `in` for texts, cheap checks first. All expressions of a field
   are looked for at once (agent/detect/expressions.py). What else is expensive (wildcards, networks) and
   asked by several rules is worked out once per event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from agent.detect.conditions import And, Check, Match, Node, Not, fields_of
from agent.detect.evaluate import Values, check_holds, globbed
from agent.detect.expressions import FEWEST, Expressions
from agent.detect.fields import field_of, is_unique
from agent.detect.literals import END, cover_of, literal_of
from agent.detect.patterns import compile_pattern, search
from agent.detect.rows import Row, row_of
from agent.detect.sources import Source, Subject, Value

MAX_CACHED = 16_384
"""Answers that are remembered; twice as many may be there. A row takes about 1 kB."""
MAX_CACHED_TEXT = 16 << 20
"""Characters of their values; likewise. Whoever starts processes chooses how long these are."""
LARGE = 32
"""So many texts of one field, joined by or, are looked for at once."""
_TEXT_OPS = ("equals", "contains", "startswith", "endswith")
_NONE: tuple[int, ...] = ()
_ONE_BY_ONE = object()


def text_of(value: Value) -> str:
    """A field's values, folded, each between NUL characters; empty when it is absent."""
    if value is None:
        return ""
    if type(value) is str:
        if END in value:
            value = value.replace(END, "\ufffd")
        return f"{END}{value.casefold()}{END}"
    return END + END.join([one.replace(END, "\ufffd") for one in value]).casefold() + END


class Matcher:
    """Which rules of a view match an event."""

    def __init__(self, view: str, rules: Iterable[tuple[int, Node]]) -> None:
        """`rules`: numbers and folded conditions (agent/detect/fold.py)."""
        self.view = view
        section = view.partition("/")[0]
        chosen = list(rules)
        self.fields: tuple[str, ...] = tuple(
            sorted(set().union(*(fields_of(node) for _, node in chosen)) - {""})
        )
        """Names of the fields that are read. The whole event, for keywords, stands last, when it is asked."""
        sources: list[Source] = []
        for name in self.fields:
            source = field_of(section, name).source
            assert source is not None, "folding left no field that is always absent"
            sources.append(source)
        if any("" in fields_of(node) for _, node in chosen):
            self.fields = (*self.fields, "")
            sources.append(_whole(section))
        self._row = row_of(sources)
        program = _Program(self.fields, chosen)
        self._run = program.run
        self.source_text = program.text
        """The generated code."""
        self.is_cached = not any(is_unique(section, name) for name in self.fields)
        self._hot_text = 0
        self._hot: dict[Row, tuple[int, ...]] = {}
        self._cold: dict[Row, tuple[int, ...]] = {}

    @property
    def remembered(self) -> int:
        """How many answers are remembered."""
        return len(self._hot) + len(self._cold)

    def row(self, subject: Subject) -> Row:
        """The values of an event."""
        return self._row(subject)

    def match(self, subject: Subject) -> tuple[int, ...]:
        """Numbers of the rules that match, rising."""
        row = self._row(subject)
        if not self.is_cached:
            return self._run(row)
        found = self._hot.get(row)
        if found is None:
            found = self._cold.get(row)
            if found is None:
                found = self._run(row)
            if len(self._hot) >= MAX_CACHED or self._hot_text > MAX_CACHED_TEXT:
                self._cold, self._hot, self._hot_text = self._hot, {}, 0
            self._hot[row] = found
            self._hot_text += _length(row)
        return found


def _whole(section: str) -> Source:
    """All values of an event, for keywords: what the view adds, and the texts of the process."""
    names = _WHOLE.get(section, _PROCESS)
    sources = [source for name in names if (source := field_of(section, name).source) is not None]

    return lambda subject: _joined(subject, sources)


def whole_of(view: str, subject: Subject) -> Value:
    """The same for one event."""
    return _whole(view.partition("/")[0])(subject)


def _joined(subject: Subject, sources: Sequence[Source]) -> Value:
    found: dict[str, None] = {}
    for value in (*subject.extra.values(), *(source(subject) for source in sources)):
        found.update(dict.fromkeys(several(value)))
    return tuple(found) or None


_PROCESS = (
    "Image", "CommandLine", "CurrentDirectory", "User", "ParentImage", "ParentCommandLine", "Policy",
    "Message",
)  # fmt: skip
"""Fields in which keywords are looked for, where a view has them."""
_WHOLE = {"auditd": ("exe", "comm", "key"), "log": ("Line",)}
"""The same of views that have others."""


class _Program:
    """The generated code of a matcher and what it uses."""

    def __init__(self, fields: Sequence[str], rules: Sequence[tuple[int, Node]]) -> None:
        self._slots = {name: slot for slot, name in enumerate(fields)}
        self._names: dict[str, Any] = {"T": text_of, "S": search, "G": _globbed, "E": self._ask, "C": _cased}
        self._shared: dict[Check | str, int] = {}
        """Places of what is worked out once for an event: checks, and the expressions of a field."""
        self._fields = tuple(fields)
        counts: dict[Check, int] = {}
        for _, node in rules:
            for check in set(_checks(node)):
                counts[check] = counts.get(check, 0) + 1
        self._several = {check for check, count in counts.items() if count > 1}
        self._expressions = dict(_asked_together(counts))
        self._guards: dict[str, dict[str, list[int]]] = {}
        self._always: list[int] = []
        self._numbers = [number for number, _ in rules]
        lines: list[str] = []
        for place, (_, node) in enumerate(rules):
            self._guard(place, node)
            lines.append(f"def rule{place}(v, t, m):\n    return {self._expression(node)}\n")
        self.text = "\n".join(lines)
        exec(compile(self.text, "<rules>", "exec"), self._names)
        self._functions: list[Callable[[Row, list[str], list[Any]], bool]] = [
            self._names[f"rule{place}"] for place in range(len(rules))
        ]
        self._scans = [
            (self._slots[field], _automaton(texts)) for field, texts in sorted(self._guards.items())
        ]
        self._memo = len(self._shared)

    def run(self, row: Row) -> tuple[int, ...]:
        """Numbers of the rules that match."""
        texts = [text_of(value) for value in row]
        candidates = set(self._always)
        for slot, automaton in self._scans:
            text = texts[slot]
            if text:
                for _, places in automaton.iter(text):
                    candidates.update(places)
        if not candidates:
            return _NONE
        memo: list[Any] = [None] * self._memo
        functions, numbers = self._functions, self._numbers
        return tuple([numbers[place] for place in sorted(candidates) if functions[place](row, texts, memo)])

    def _guard(self, place: int, node: Node) -> None:
        cover = cover_of(node)
        if cover is None:
            self._always.append(place)
            return
        for field, texts in cover.items():
            guards = self._guards.setdefault(field, {})
            for text in texts:
                guards.setdefault(text, []).append(place)

    # Code

    def _expression(self, node: Node) -> str:
        if isinstance(node, Match):
            return self._check(node.check)
        if isinstance(node, Not):
            return f"(not {self._expression(node.part)})"
        parts = sorted(node.parts, key=_cost)
        if isinstance(node, And):
            return "(" + " and ".join(self._expression(part) for part in parts) + ")"
        return "(" + " or ".join(self._alternatives(parts)) + ")"

    def _alternatives(self, parts: Sequence[Node]) -> Iterable[str]:
        """Parts of an or; where many are texts of one field, one automaton looks for all of them."""
        by_field: dict[str, list[str]] = {}
        for part in parts:
            literal = literal_of(part.check) if isinstance(part, Match) else None
            if literal and isinstance(part, Match):
                by_field.setdefault(part.check.field, []).append(literal)
        large = {field for field, literals in by_field.items() if len(literals) > LARGE}
        for field in sorted(large):
            yield self._one_of(field, by_field[field])
        for part in parts:
            if not (isinstance(part, Match) and part.check.field in large and literal_of(part.check)):
                yield self._expression(part)

    def _one_of(self, field: str, literals: Sequence[str]) -> str:
        slot = self._slots[field]
        scan = _automaton({literal: [] for literal in literals}).iter
        name = f"A{len(self._names)}"
        self._names[name] = lambda text: bool(text) and next(scan(text), None) is not None
        return f"{name}(t[{slot}])"

    def _check(self, check: Check) -> str:
        slot = self._slots[check.field]
        literal = literal_of(check)
        if literal is not None:
            return f"{literal!r} in t[{slot}]" if literal else f"(t[{slot}] != '')"
        if check.op in ("null", "exists"):
            absent = check.op == "null" or check.value is False
            return f"(v[{slot}] is {'' if absent else 'not '}None)"
        if check.op in _TEXT_OPS:
            return self._cased(check, slot)
        return self._expensive(check, slot)

    def _cased(self, check: Check, slot: int) -> str:
        text = str(check.value)
        if END in text:
            return "False"
        begin = END if check.op in ("equals", "startswith") else ""
        end = END if check.op in ("equals", "endswith") else ""
        return f"({begin + text.casefold() + end!r} in t[{slot}] and {begin + text + end!r} in C(v[{slot}]))"

    def _expensive(self, check: Check, slot: int) -> str:
        """A check that is worked out once when several rules ask it, and only where its texts stand."""
        call = self._found(check, slot) or self._call(check, slot)
        if check in self._several and check not in self._expressions:
            memo = self._shared.setdefault(check, len(self._shared))
            call = f"(m[{memo}] if m[{memo}] is not None else m.__setitem__({memo}, {call}) or m[{memo}])"
        cover = cover_of(Match(check, "", "")) if check.op in ("re", "glob") else None
        texts = sorted(cover[check.field]) if cover else []
        if 0 < len(texts) <= 3:
            call = "((" + " or ".join(f"{text!r} in t[{slot}]" for text in texts) + f") and {call})"
        return call

    def _found(self, check: Check, slot: int) -> str:
        """An expression that is looked for together with others; empty when it is not."""
        if check not in self._expressions:
            return ""
        expressions, number = self._expressions[check]
        memo = self._shared.setdefault(check.field, len(self._shared))
        self._names[f"X{slot}"] = _asker(expressions, slot, memo)
        return f"X{slot}(v, m, {number})"

    def _call(self, check: Check, slot: int) -> str:
        name = f"K{len(self._names)}"
        if check.op == "re":
            self._names[name] = _searcher(str(check.value))
            return f"{name}(v[{slot}])"
        self._names[name] = check
        return f"G({name}, v[{slot}])" if check.op == "glob" else f"E({name}, v)"

    def _ask(self, check: Check, row: Row) -> bool:
        return check_holds(check, self.values_of(row))

    def values_of(self, row: Row) -> Values:
        """The values of a row by the fields' names."""
        return lambda name: several(row[self._slots[name]])


def _length(row: Row) -> int:
    """Characters of a row's values."""
    return sum([len(value) if type(value) is str else sum(map(len, value)) for value in row if value])


def several(value: Value) -> tuple[str, ...]:
    """A value as a tuple."""
    return () if value is None else (value,) if type(value) is str else tuple(value)


def _checks(node: Node) -> Iterable[Check]:
    if isinstance(node, Match):
        yield node.check
    else:
        for part in (node.part,) if isinstance(node, Not) else node.parts:
            yield from _checks(part)


def _cost(node: Node) -> int:
    """What to ask first."""
    if isinstance(node, Match):
        return (
            0 if node.check.op in (*_TEXT_OPS, "null", "exists") else 50 if node.check.op == "glob" else 100
        )
    if isinstance(node, Not):
        return 1 + _cost(node.part)
    return sum(_cost(part) + 1 for part in node.parts)


def _automaton(texts: dict[str, list[int]]) -> Any:
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for text, places in texts.items():
        automaton.add_word(text, tuple(places))
    automaton.make_automaton()
    return automaton


def _asked_together(checks: Iterable[Check]) -> Iterable[tuple[Check, tuple[Expressions, int]]]:
    """Expressions of fields that are asked for many."""
    by_field: dict[str, list[Check]] = {}
    for check in checks:
        if check.op == "re":
            by_field.setdefault(check.field, []).append(check)
    for found in by_field.values():
        if len(found) >= FEWEST:
            expressions = Expressions([str(check.value) for check in found])
            for number, check in enumerate(found):
                yield check, (expressions, number)


def _asker(expressions: Expressions, slot: int, memo: int) -> Callable[[Row, list[Any], int], bool]:
    found_in, holds = expressions.found_in, expressions.holds

    def ask(row: Row, kept: list[Any], number: int) -> bool:
        found = kept[memo]
        if found is None:
            found = found_in(row[slot])
            kept[memo] = _ONE_BY_ONE if found is None else found
        return holds(number, row[slot]) if kept[memo] is _ONE_BY_ONE else number in found

    return ask


def _cased(value: Value) -> str:
    return END + END.join(one.replace(END, "\ufffd") for one in several(value)) + END


def _globbed(check: Check, value: Value) -> bool:
    pieces = check.value
    assert isinstance(pieces, tuple)
    return any(globbed(pieces, one if check.cased else one.casefold()) for one in several(value))


def _searcher(pattern: str) -> Callable[[Value], bool]:
    found = compile_pattern(pattern).search

    def searcher(value: Value) -> bool:
        try:
            if type(value) is str:
                return found(value) is not None
            return any(found(one) is not None for one in several(value))
        except UnicodeEncodeError:
            return any(search(pattern, one) for one in several(value))

    return searcher
