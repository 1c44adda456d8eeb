# SPDX-License-Identifier: Apache-2.0
"""Records of the log in, hits of rules out. Pure: no file, no clock, the same hits for the same records.

Feed the records of one node in the order of the log. Own records are never evaluated; some say what has to be
known of boots and processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.detect.auditrules import watched
from agent.detect.compile import Matcher, several
from agent.detect.conditions import Node, fields_of
from agent.detect.evaluate import Matched, matched
from agent.detect.fields import field_of, is_unique
from agent.detect.fold import condition_for
from agent.detect.lineage import Known, Lineage
from agent.detect.loglines import KIND as LINE
from agent.detect.loglines import views_of_line
from agent.detect.routing import route
from agent.detect.rules import Rule
from agent.detect.sources import Subject
from agent.detect.views import EXEC_VIEWS, Call, Seen, seen_of_exec, views_of_call
from agent.log.times import parse_time

Record = dict[str, Any]
CALLS = ("process_kprobe", "process_lsm", "process_tracepoint", "process_uprobe", "process_usdt")
"""Types of events of policies (docs/events)."""
NAMES_KEPT, NAMES_NS = 8, 30_000_000_000
"""Names that a process asked DNS for are names of what it connects to for so long, in nanoseconds."""
MAX_ASKERS = 4096
"""Processes whose questions are remembered."""


class Silencer(Protocol):
    """Exceptions: agent/detect/exceptions.py."""

    def silencing(self, rule: str, values: Any, time_ns: int) -> object | None:
        """What silences a hit; None when nothing does."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule matched an event."""

    rule: Rule
    view: str
    """The view of the event in which it did: `process_creation`, `auditd/EXECVE` …"""
    condition: Node
    """The rule's, as that view sees it."""
    subject: Subject
    """The view: the record, the process with its ancestors, and what rules ask of them."""
    boot_id: str
    """Of the boot in which the event was; empty when no `segment` record said it."""

    @property
    def record(self) -> Record:
        """The event as it stands in the log."""
        return self.subject.record

    @property
    def sequence(self) -> int:
        """The event's number; 0 when it has none."""
        sequence = self.subject.own.get("sequence")
        return sequence if type(sequence) is int else 0

    @property
    def process(self) -> Known:
        """The process of the event."""
        return self.subject.known

    def ancestors(self) -> list[Known]:
        """Parent first, as far as they are known."""
        return list(self.subject.known.ancestors())

    def values(self, name: str) -> Sequence[str]:
        """A field of the event by any of its names, as rules see it; none when it is absent."""
        source = field_of(self.view.partition("/")[0], name).source
        if name == "type" and self.view.startswith("auditd/"):
            return (self.view.partition("/")[2],)
        return several(source(self.subject)) if source is not None else ()

    def matched(self) -> list[Matched]:
        """Which checks of the rule held, in its order."""
        return list(dict.fromkeys(matched(self.condition, self._all_values)))

    def _all_values(self, name: str) -> Sequence[str]:
        if name:
            return self.values(name)
        from agent.detect.compile import whole_of

        return several(whole_of(self.view, self.subject))


class Engine:
    """Evaluates a set of rules."""

    def __init__(self, rules: Iterable[Rule], exceptions: Silencer | None = None) -> None:
        """Rules that cannot be evaluated are passed over; agent/detect/needs.py says why."""
        self.rules = tuple(rules)
        self.lineage = Lineage()
        self.boot_id = ""
        self.silenced = 0
        """Hits that exceptions have silenced."""
        self._exceptions = exceptions
        self._conditions: dict[str, dict[int, Node]] = {}
        for number, rule in enumerate(self.rules):
            for view in route(rule.logsource).views:
                node = condition_for(rule.condition, view)
                if node is not None:
                    self._conditions.setdefault(view, {})[number] = node
        self._matchers = {view: list(_matchers(view, nodes)) for view, nodes in self._conditions.items()}
        self.views = frozenset(self._matchers)
        """The views that rules ask for."""
        self._exec_matchers = [
            (view, matcher) for view in EXEC_VIEWS for matcher in self._matchers.get(view, ())
        ]
        self._keys = watched(self.rules)
        self._asked: dict[str, deque[tuple[str, int]]] = {}

    def feed(self, record: Record) -> list[Hit]:
        """Learns from a record and evaluates it."""
        kind = next(iter(record), "")
        if kind == "process_exec":
            subject = self._begin(record)
            return self._evaluate_exec(subject) if subject is not None else []
        if kind in CALLS:
            return self._evaluate(self._views_of_call(kind, record))
        if kind == "process_exit":
            return self._evaluate(self._views_of_exit(record))
        if kind == "tracehound" and type(own := record[kind]) is dict and type(own.get(LINE)) is dict:
            return self._evaluate(self._views_of_line(record, own[LINE]))
        self.learn(record)
        return []

    def learn(self, record: Record) -> None:
        """What a record says of boots and processes; nothing is evaluated."""
        kind = next(iter(record), "")
        if kind == "process_exec":
            self._begin(record)
        elif kind == "process_exit":
            self._end(record)
        elif kind == "tracehound" and type(own := record[kind]) is dict:
            if type(segment := own.get("segment")) is dict:
                self._begin_segment(segment)
            elif type(fork := own.get("fork")) is dict and type(fork.get("process")) is dict:
                self.lineage.begin(fork["process"], {}, fork.get("parent"))

    def adopt(self, other: Engine) -> None:
        """Goes on with what another engine has learnt."""
        self.lineage, self.boot_id, self._asked = other.lineage, other.boot_id, other._asked
        self.silenced = other.silenced

    def knows(self, exec_id: str) -> bool:
        """Whether what a process executed is remembered."""
        known = self.lineage.get(exec_id)
        return known is not None and bool(known.images)

    def condition(self, view: str, rule: Rule) -> Node | None:
        """A rule's condition as a view sees it; None when it is not evaluated there."""
        nodes = self._conditions.get(view, {})
        return next((node for number, node in nodes.items() if self.rules[number] is rule), None)

    # Records

    def _begin_segment(self, segment: Mapping[str, Any]) -> None:
        boot_id = str(segment.get("boot_id", ""))
        if boot_id != self.boot_id:
            if self.boot_id:
                self.lineage.forget()
                self._asked.clear()
            self.boot_id = boot_id

    def _begin(self, record: Record) -> Subject | None:
        event = record["process_exec"]
        process = event.get("process") if type(event) is dict else None
        if type(process) is not dict:
            return None
        own = record.get("tracehound")
        known = self.lineage.begin(process, own if type(own) is dict else {}, event.get("parent"))
        subject = Subject(record, event, known)
        if self._keys:
            keys = {key for image in known.images for key in self._keys.get(image, ())}
            subject.extra = {"audit_key": tuple(sorted(keys)) or None}
        return subject

    def _end(self, record: Record) -> None:
        event = record["process_exit"]
        process = event.get("process") if type(event) is dict else None
        if type(process) is dict:
            self.lineage.end(process.get("exec_id"))

    def _subject(self, kind: str, record: Record) -> Subject | None:
        event = record[kind]
        process = event.get("process") if type(event) is dict else None
        if type(process) is not dict:
            return None
        return Subject(record, event, self.lineage.of_event(process, event.get("parent")))

    def _views_of_exit(self, record: Record) -> Iterator[Seen]:
        if "process_termination" in self.views:
            subject = self._subject("process_exit", record)
            if subject is not None:
                yield Seen("process_termination", subject)
        self._end(record)

    def _views_of_call(self, kind: str, record: Record) -> Iterator[Seen]:
        subject = self._subject(kind, record)
        if subject is None:
            return
        call = Call(subject, function_of(subject.event))
        if call.deed == "connect":
            subject.extra = {"hostname": self._names(call)}
        yield from views_of_call(call, self.views)

    def _views_of_line(self, record: Record, line: Record) -> Iterator[Seen]:
        """A line of a log, with the process that wrote it, where the agent knew it."""
        known = self.lineage.get(line.get("exec_id")) or Known({}, {}, None)
        subject = Subject(record, line, known)
        for view in views_of_line(line):
            if view in self.views:
                yield Seen(view, subject)

    def _names(self, call: Call) -> tuple[str, ...] | None:
        """Names that the process has asked for lately; a question of this event is added."""
        exec_id = call.subject.known.process.get("exec_id")
        if type(exec_id) is not str:
            return None
        now = time_of(call.subject.record)
        if call.question is not None:
            if exec_id not in self._asked and len(self._asked) >= MAX_ASKERS:
                self._asked.pop(next(iter(self._asked)))
            self._asked.setdefault(exec_id, deque(maxlen=NAMES_KEPT)).append((call.question[0], now))
            return None
        names = self._asked.get(exec_id, ())
        return (
            tuple(dict.fromkeys(name for name, asked in reversed(names) if now - asked <= NAMES_NS)) or None
        )

    # Rules

    def _evaluate(self, seen: Iterator[Seen]) -> list[Hit]:
        """At most one hit per rule: in the first view that matches."""
        hits: dict[int, Hit] = {}
        for view, subject in seen:
            for matcher in self._matchers[view]:
                if numbers := matcher.match(subject):
                    self._note(hits, numbers, view, subject)
        return self._hits(hits) if hits else []

    def _evaluate_exec(self, subject: Subject) -> list[Hit]:
        """The same for what comes most often: most execs have one view, and are like one before."""
        hits: dict[int, Hit] = {}
        last, seen = "", subject
        for view, matcher in self._exec_matchers:
            if view != last:
                last, seen = view, seen_of_exec(subject, view)
            if numbers := matcher.match(seen):
                self._note(hits, numbers, view, seen)
        return self._hits(hits) if hits else []

    def _note(self, hits: dict[int, Hit], numbers: Iterable[int], view: str, subject: Subject) -> None:
        for number in numbers:
            if number not in hits:
                node = self._conditions[view][number]
                hits[number] = Hit(self.rules[number], view, node, subject, self.boot_id)

    def _hits(self, hits: Mapping[int, Hit]) -> list[Hit]:
        return self._unsilenced([hits[number] for number in sorted(hits)])

    def _unsilenced(self, hits: list[Hit]) -> list[Hit]:
        exceptions = self._exceptions
        if exceptions is None:
            return hits
        left = [
            hit for hit in hits if exceptions.silencing(hit.rule.id, hit.values, time_of(hit.record)) is None
        ]
        self.silenced += len(hits) - len(left)
        return left


def _matchers(view: str, nodes: Mapping[int, Node]) -> Iterator[Matcher]:
    """One for rules whose answers can be remembered, one for the others."""
    section = view.partition("/")[0]
    unique = {n for n, node in nodes.items() if any(is_unique(section, f) for f in fields_of(node))}
    for numbers in (nodes.keys() - unique, unique):
        if numbers:
            yield Matcher(view, [(number, nodes[number]) for number in sorted(numbers)])


def function_of(event: Mapping[str, Any]) -> str:
    """The hooked function; `subsystem/event` of a tracepoint; the symbol in a program."""
    function = event.get("function_name")
    if type(function) is str:
        return function
    if type(event.get("event")) is str:
        return f"{event.get('subsys', '')}/{event['event']}"
    return str(event.get("symbol") or event.get("name") or "")


def time_of(record: Mapping[str, Any]) -> int:
    """Wall-clock nanoseconds of a record; 0 when it says none."""
    try:
        return parse_time(record["time"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0
