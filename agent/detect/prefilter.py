# SPDX-License-Identifier: Apache-2.0
"""Which rows of the store rules may hold for: asked of columns, before a line is written again and parsed.

It lets too much through and never too little: the engine decides. Of a condition only what surely stands in
the row is asked: a run of plain characters of a text, somewhere in the columns that the field is made of.
`not` and regular expressions are not asked, nor what comes from other records (a parent's command line).

A text in a row that is not ASCII passes always, for case is folded in more than one way there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.detect.conditions import And, Check, Match, Node, Not, Or, fields_of
from agent.detect.fold import fold
from agent.detect.literals import texts_of_pattern
from agent.detect.routing import route
from agent.detect.rules import Rule
from agent.log.entry import line_test
from agent.log.records import OWN_HEAD
from agent.store.rebuild import by_word, whole

if TYPE_CHECKING:
    import pyarrow as pa

EXEC, EXIT = "process_exec", "process_exit"
POLICY_EVENTS = ("process_kprobe", "process_lsm", "process_tracepoint", "process_uprobe", "process_usdt")
"""Types of events of policies (docs/events/process_kprobe.md)."""
_SAFE = re.compile(r"[A-Za-z0-9_./:=,@%+~-]+")
"""What JSON and the quoting of arguments leave alone."""
_JOINED = frozenset(("TargetFilename", "name"))
"""Fields that are put together of two texts, at a slash."""
SHORTEST = 2
"""A shorter run is found nearly everywhere."""
OF_EXECS: Mapping[str, tuple[str, ...]] = {
    "Image": ("exe", "payload"),
    "process.name": ("exe", "payload"),
    "CommandLine": ("exe", "args", "payload"),
    "CurrentDirectory": ("cwd",),
    "exe": ("exe", "payload"),
    "comm": ("exe", "payload"),
    "name": ("exe", "payload"),
    "proctitle": ("exe", "args", "payload"),
    "cwd": ("cwd",),
}
"""Columns (docs/store.md) that a field of an exec stands in, as agent/detect/fields.yaml calls it. Other
events have the same fields from the exec, which is another row."""
OF_CALLS: Mapping[str, tuple[str, ...]] = {
    "Policy": ("policy",),
    "Message": ("payload",),
    "TargetFilename": ("payload",),
    "file.name": ("payload",),
    "DestinationIp": ("payload",),
    "name": ("payload",),
}
"""The same, of events of policies."""
FROM_OTHERS = frozenset(("DestinationHostname",))
"""Fields for which the engine has to have seen other events of policies."""
_ARGUMENT = re.compile(r"a[0-9]+")
"""Arguments as auditd numbers them: of an exec they stand in its row, unless it writes them as digits."""
_DIGITS = re.compile(r"[0-9a-f]+")
_ALWAYS = r"(?-i:[^\x00-\x7f])|^\x04"
"""Not ASCII (with its case, else the class would lack what folds to k and s), or a line that is no text
(agent/store/split.py)."""
_ENVIRONMENT = "Environment."
_DIRECTORY = ("cwd",)
_IN_CASE = "(?i)"
_END = "(?:[\"']|$)"


class Text(NamedTuple):
    """A text in a value."""

    text: str
    is_end: bool
    """Whether the value ends with it."""


class Atom(NamedTuple):
    """A text that has to stand in one of the columns, whatever its case."""

    columns: tuple[str, ...]
    text: str
    """ASCII, in small letters."""
    is_end: bool = False
    """Whether nothing but a quotation mark, or nothing at all, follows it."""

    @property
    def pattern(self) -> str:
        """For RE2."""
        return re.escape(self.text) + (_END if self.is_end else "")


Cover = frozenset[Atom]
"""At least one of these holds where a condition does. Empty: it holds nowhere."""


Ask = Mapping[str, Cover | None]
"""What one rule asks of the events of each type; None: nothing more. Events of other types do not matter."""


def ask_of(rule: Rule) -> Ask:
    """What is asked of the rows for a rule."""
    found: dict[str, Cover | None] = {}
    for view in route(rule.logsource).views:
        node = fold(rule.condition, view)
        if isinstance(node, bool):
            continue  # the engine does not ask it either
        for name in types_of(view):
            cover = None if name != EXEC and FROM_OTHERS & fields_of(node) else cover_of(node, name == EXEC)
            before = found.get(name, frozenset())
            found[name] = None if cover is None or before is None else before | cover
    return found


def types_of(view: str) -> tuple[str, ...]:
    """Types of events that a view is made of (agent/detect/views.py)."""
    if view in ("process_creation", "auditd/EXECVE"):
        return (EXEC,)
    if view == "process_termination":
        return (EXIT,)
    return (EXEC, *POLICY_EVENTS) if view.startswith("auditd") else POLICY_EVENTS


def cover_of(node: Node, is_exec: bool) -> Cover | None:
    """Of all parts of an `and` the most telling one; of an `or` all, or nothing when one tells nothing."""
    if isinstance(node, Match):
        return _cover_of_check(node.check, is_exec)
    if isinstance(node, And):
        covers = [cover for part in node.parts if (cover := cover_of(part, is_exec)) is not None]
        return min(covers, key=_worth, default=None)
    if isinstance(node, Or):
        found: set[Atom] = set()
        for part in node.parts:
            cover = cover_of(part, is_exec)
            if cover is None:
                return None
            found |= cover
        return frozenset(found)
    assert isinstance(node, Not)
    return None


def _worth(cover: Cover) -> tuple[int, int]:
    """Covers with short texts let much through; of two with equal ones that with fewer."""
    return -min((len(atom.text) + 2 * atom.is_end for atom in cover), default=99), len(cover)


def _cover_of_check(check: Check, is_exec: bool) -> Cover | None:
    name = check.field
    columns = _columns_of(name, is_exec)
    if columns is None:
        return None
    if name.startswith(_ENVIRONMENT):
        return frozenset((Atom(columns, name.removeprefix(_ENVIRONMENT).lower()),)) if _asks(check) else None
    texts = texts_of(check)
    atoms = frozenset(_atom(columns, text, name in _JOINED) for text in texts or ())
    if not atoms or any(len(atom.text) < SHORTEST for atom in atoms):
        return None
    if is_exec and _ARGUMENT.fullmatch(name) and any(_DIGITS.fullmatch(atom.text) for atom in atoms):
        return None
    return atoms


def _asks(check: Check) -> bool:
    """Whether a check is false where the field is absent."""
    return check.op != "null" and not (check.op == "exists" and not check.value)


def texts_of(check: Check) -> frozenset[Text] | None:
    """Texts of which one stands in a value for which a check holds; None where none has to."""
    value = check.value
    if check.op in ("equals", "contains", "startswith", "endswith"):
        return frozenset((Text(str(value), check.op in ("equals", "endswith")),))
    if check.op == "glob" and isinstance(value, tuple):
        last = len(value) - 1
        pieces = [Text(one, at == last) for at, one in enumerate(value) if isinstance(one, str)]
        return frozenset((max(pieces, key=_run_length, default=Text("", False)),))
    found = texts_of_pattern(str(value)) if check.op == "re" else None
    return frozenset(Text(one, False) for one in found) if found else None


def _columns_of(field: str, is_exec: bool) -> tuple[str, ...] | None:
    if is_exec and _ARGUMENT.fullmatch(field):
        return OF_EXECS["CommandLine"]
    if is_exec and field.startswith(_ENVIRONMENT):
        return ("payload",)
    return (OF_EXECS if is_exec else OF_CALLS).get(field)


def _atom(columns: tuple[str, ...], text: Text, is_joined: bool) -> Atom:
    """The longest run of a text; the last one where two are equally long."""
    runs = list(_SAFE.finditer(text.text.replace("/", " ") if is_joined else text.text))
    longest = max(reversed(runs), key=lambda run: len(run[0]), default=None)
    if longest is None:
        return Atom(columns, "")
    is_end = text.is_end and longest.end() == len(text.text)
    run = longest[0]
    if columns == _DIRECTORY and run.endswith("/"):  # as it is written or not
        run, is_end = run.rstrip("/"), False
    return Atom(columns, run.lower(), is_end)


def _run_length(text: Text) -> int:
    return max(map(len, _SAFE.findall(text.text)), default=0)


class Prefilter:
    """A `Pick` (agent/store/picking.py) for several rules: rows that at least one of them may hold for."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        asks = [ask_of(rule) for rule in rules]
        self._free = frozenset(name for ask in asks for name, cover in ask.items() if cover is None)
        """Types whose events pass whatever they hold."""
        self._asked = [
            (name, _patterns(cover for ask in asks if (cover := ask.get(name)) is not None))
            for name in (EXEC, EXIT, *POLICY_EVENTS)
            if name not in self._free
        ]
        used = {column for _, patterns in self._asked for column in patterns}
        self.columns: Sequence[str] = ("type", *sorted(used))
        self._is_free = line_test(self._free) if self._free else None
        self._lines = [
            (test, re2_search(_line_pattern(patterns)))
            for name, patterns in self._asked
            if patterns and (test := line_test((name,))) is not None
        ]

    def mask(self, table: pa.Table) -> pa.Array:
        """Which rows of a table with `columns`; no nulls."""
        import pyarrow as pa
        import pyarrow.compute as pc

        types = table.column("type")
        found = by_word(types, lambda words: pc.is_in(words, pa.array(list(self._free), pa.string())))
        for name, patterns in self._asked:
            rows = by_word(types, partial(pc.equal, name))
            if not patterns or not pc.any(rows).as_py():
                continue
            hit: Any = pa.repeat(False, len(table))
            for column, pattern in patterns.items():
                hit = pc.or_(hit, _holds(table.column(column), rows, pattern))
            found = pc.or_(found, pc.and_(rows, hit))
        return found

    def line(self, line: bytes) -> object:
        """Whether a live line may matter."""
        if line.startswith(OWN_HEAD):
            return False
        if self._is_free is not None and self._is_free(line):
            return True
        return any(test(line) and search(line) for test, search in self._lines)


def _patterns(covers: Iterable[Cover]) -> dict[str, str]:
    """By column, the expression (RE2) for all texts that are looked for in it."""
    texts: dict[str, set[str]] = {}
    for cover in covers:
        for atom in cover:
            for column in atom.columns:
                texts.setdefault(column, set()).add(atom.pattern)
    return {
        column: _IN_CASE + "|".join([_ALWAYS, *sorted(_needed(found))]) for column, found in texts.items()
    }


def _needed(texts: set[str]) -> Iterator[str]:
    """Without those in which another one stands."""
    for text in texts:
        if not any(other != text and other in text for other in texts):
            yield text


def _line_pattern(patterns: dict[str, str]) -> str:
    """For a line as a whole, in which everything stands."""
    return _IN_CASE + "|".join(pattern.removeprefix(_IN_CASE) for pattern in patterns.values())


def _holds(column: pa.ChunkedArray, rows: pa.Array, pattern: str) -> pa.Array:
    """Which rows have a word that fits. Only words of the rows in question are looked at."""
    import pyarrow as pa
    import pyarrow.compute as pc

    one = whole(column)
    if not pa.types.is_dictionary(one.type):
        return pc.fill_null(pc.match_substring_regex(one, pattern), False)
    used = pc.unique(one.indices.filter(rows)).drop_null()
    words = one.dictionary.take(used)
    hits = used.filter(pc.fill_null(pc.match_substring_regex(words, pattern), False))
    return pc.is_in(one.indices, hits)


def re2_search(pattern: str) -> Any:
    """RE2's search where it is installed (pySigma brings it), for it does not slow down with many texts."""
    try:
        import re2
    except ImportError:
        return re.compile(pattern.encode(), re.IGNORECASE).search
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    return re2.compile(pattern.encode(), options).search
