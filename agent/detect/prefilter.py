# SPDX-License-Identifier: Apache-2.0
"""Which rows of the store rules may match: asked of columns, before a line is written again and parsed.

It lets too much through and never too little: the engine decides. Of a condition everything is asked that
the row itself tells, by the code that the engine asks (sources, views, generated matchers); what other
records tell (ancestors, the process of an event of a policy) is left open (agent/detect/relax.py). Of a
parent the row has the path that was executed; what such a path led to elsewhere in the log is taken along
(agent/detect/aliases.py). Rows are alike when all columns are that a rule may ask; of those one is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from agent.detect.aliases import Aliases
from agent.detect.auditrules import watched
from agent.detect.compile import Matcher
from agent.detect.conditions import Node, fields_of
from agent.detect.engine import CALLS, function_of
from agent.detect.fields import field_of
from agent.detect.fold import condition_for
from agent.detect.lineage import KEPT, Known
from agent.detect.loglines import KIND as LINE
from agent.detect.loglines import is_line_view
from agent.detect.relax import Told, relaxed
from agent.detect.routing import route
from agent.detect.rules import Rule
from agent.detect.sources import Subject
from agent.detect.views import AUDIT_TYPED, Call, Seen, views_of_call, views_of_exec
from agent.log.entry import line_test, parse
from agent.store.rebuild import by_word, whole
from agent.store.split import CUT, LINEAGE, TIME

if TYPE_CHECKING:
    import pyarrow as pa

EXEC, EXIT = "process_exec", "process_exit"
OF_EXECS = frozenset(
    (
        "image", "image_name", "command_line", "arguments", "argument_count", "cwd", "user", "uid", "auid",
        "login_user", "tty", "audit_tty", "real_uid", "real_gid", "effective_uid", "effective_gid", "comm",
        "environment", "record_type", "syscall", "audit_key", "audit_argument", "path", "name_type",
        "success",
    )
)  # fmt: skip
"""Sources (agent/detect/sources.py) that ask nothing but what a row of an exec has in COLUMNS."""
OF_CALLS = frozenset(
    (
        "policy", "message", "function", "path", "path_name", "old_path", "destination_ip",
        "destination_port", "source_ip", "source_port", "protocol", "initiated", "is_ipv6", "query_name",
        "query_type", "argument", "audit_argument", "record_type", "syscall", "name_type", "success",
    )
)  # fmt: skip
"""The same, of events of policies: their process stands in the row of its exec."""
OF_PARENTS = frozenset(("parent_image", "parent_image_name"))
"""Sources that ask for a parent's executable."""
COLUMNS = ("type", "exe", "args", "cwd", "uid", "auid", "parent_exe", "payload")
MAX_KNOWN = 1 << 18
"""Rows whose answers are remembered from one segment to the next. One takes up to 1 kB."""
_UNASKED = re.compile(r',"(?:nspid|sid|pgid)":\d+')
"""Numbers below `tracehound` that differ more often than not, and that no source in OF_EXECS asks."""
_HOSTNAME = "DestinationHostname"

Key = tuple[Any, ...]


class Prefilter:
    """A `Pick` (agent/store/picking.py) for several rules: rows that at least one of them may match."""

    columns: Sequence[str] = COLUMNS

    def __init__(self, rules: Iterable[Rule], aliases: Aliases | None = None) -> None:
        """`aliases`: of the whole log; None where they are not known."""
        chosen = tuple(rules)
        self._aliases = aliases
        self._of_execs, self._of_calls = _Views(chosen, OF_EXECS), _Views(chosen, OF_CALLS)
        self._of_children = self._of_execs if aliases is None else _Views(chosen, OF_EXECS, OF_PARENTS)
        views = self._of_execs.wanted | self._of_calls.wanted
        self._keys = watched(chosen)
        has_execs = any(view == "process_creation" or view.startswith("auditd") for view in views)
        has_calls = bool(views - {"process_creation", "process_termination", "auditd/EXECVE", *AUDIT_TYPED})
        self._types = [*((EXEC,) if has_execs else ()), *(CALLS if has_calls else ())]
        if any(is_line_view(view) for rule in chosen for view in route(rule.logsource).views):
            self._types.append(LINE)  # all of them: rules look for words in a text that is in no column
        self._is_exit = "process_termination" in views
        types = [*self._types, *((EXIT,) if self._is_exit else ())]
        self._is_line = line_test(types) if types else None
        self._known: dict[Key, bool] = {}

    def mask(self, table: pa.Table) -> pa.Array:
        """Which rows of a table with `columns`; no nulls."""
        import pyarrow as pa
        import pyarrow.compute as pc

        types = table.column("type")
        asked = by_word(types, lambda words: pc.is_in(words, pa.array(self._types, pa.string())))
        found = pc.filter(pa.array(range(len(table)), pa.int32()), asked).to_pylist()
        hits = _alike(table.filter(asked), self._may)
        rows = pa.array([at for at, is_hit in zip(found, hits, strict=True) if is_hit], pa.int32())
        mask = pc.is_in(pa.array(range(len(table)), pa.int32()), rows)
        if not self._is_exit:
            return mask
        return pc.or_(mask, by_word(types, lambda words: pc.equal(words, EXIT)))

    def line(self, line: bytes) -> object:
        """Whether a live line may matter."""
        if self._is_line is None or not self._is_line(line):
            return False
        parsed = parse(line)
        if parsed is None:
            return False
        kind = next(iter(parsed[0]))
        return kind in (EXIT, "tracehound") or self._asks(kind, parsed[0])

    def _may(self, row: Key) -> bool:
        """Of a row of COLUMNS."""
        if row[0] == LINE:
            return True
        payload = row[-1]
        key = (*row[:-1], _UNASKED.sub("", payload)) if payload else row
        found = self._known.get(key)
        if found is None:
            record = _record(row)
            found = record is None or self._asks(row[0], record)
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[key] = found
        return found

    def _asks(self, kind: str, record: dict[str, Any]) -> bool:
        event = record[kind]
        process = event.get("process") if type(event) is dict else None
        if type(process) is not dict:
            return False
        own = record.get("tracehound")
        kept = {name: own[name] for name in KEPT if name in own} if type(own) is dict else {}
        above = self._parent(event.get("parent"))
        subject = Subject(record, event, Known(process, kept, above))
        if kind != EXEC:
            call = Call(subject, function_of(event))
            return self._of_calls.may(views_of_call(call, self._of_calls.wanted))
        if self._keys:
            keys = {key for image in subject.known.images for key in self._keys.get(image, ())}
            subject.extra = {"audit_key": tuple(sorted(keys)) or None}
        views = self._of_execs if above is None else self._of_children
        return views.may(views_of_exec(subject, views.wanted))

    def _parent(self, parent: object) -> Known | None:
        """With all paths that may be its executable's; None: not known."""
        binary = parent.get("binary") if type(parent) is dict else None
        if self._aliases is None or type(binary) is not str or not binary:
            return None
        known = Known({"binary": binary}, {}, None)
        known.images = (binary, *self._aliases.get(binary, ()))
        return known


def asks_parents(rules: Iterable[Rule]) -> bool:
    """Whether what paths of parents led to has to be known."""
    return any(
        field and field_of(view.partition("/")[0], field).origin in OF_PARENTS
        for rule in rules
        for view in route(rule.logsource).views
        for field in fields_of(rule.condition)
    )


class _Views:
    """What rules ask of the views of one kind of event, as far as its rows tell."""

    def __init__(
        self, rules: Iterable[Rule], told: frozenset[str], may_be: frozenset[str] = frozenset()
    ) -> None:
        """Sources of which a row tells all, and of which it tells at least all."""
        self._open: set[str] = set()
        """Views of which rows decide nothing for some rule."""
        asked: dict[str, list[Node]] = {}
        for rule in rules:
            for view in route(rule.logsource).views:
                if is_line_view(view):
                    continue
                node = condition_for(rule.condition, view)
                part = relaxed(node, _told_in(view, told, may_be)) if node is not None else False
                if part is True:
                    self._open.add(view)
                elif part is not False:
                    asked.setdefault(view, []).append(part)
                if node is not None and _HOSTNAME in fields_of(node):
                    self._open.add("dns_query")  # names are those that were asked for before
        self._matchers = {
            view: Matcher(view, list(enumerate(nodes)))
            for view, nodes in asked.items()
            if view not in self._open
        }
        self.wanted = frozenset(self._open | self._matchers.keys())

    def may(self, seen: Iterator[Seen]) -> bool:
        """Whether some rule may match one of an event's views."""
        return any(view in self._open or self._matchers[view].match(subject) for view, subject in seen)


def _told_in(view: str, told: frozenset[str], may_be: frozenset[str]) -> Told:
    section = view.partition("/")[0]

    def is_told(name: str, is_enough: bool) -> bool:
        if not name:  # keywords: of an exec's audit records all that they are looked for in is its own
            return section == "auditd" and told is OF_EXECS
        origin = field_of(section, name).origin
        return origin in told or (is_enough and origin in may_be)

    return is_told


def _alike(table: pa.Table, holds: Callable[[Key], bool]) -> Iterator[bool]:
    """What a test says of each row: asked once of those that are alike."""
    codes, words = [], []
    for name in table.column_names:
        column = whole(table.column(name))
        column = column if hasattr(column, "dictionary") else column.dictionary_encode()
        there = column.dictionary.to_pylist()
        codes.append(column.indices.fill_null(len(there)).to_pylist())
        words.append([*there, None])
    known: dict[tuple[int, ...], bool] = {}
    for key in zip(*codes, strict=True):
        found = known.get(key)
        if found is None:
            found = known[key] = holds(tuple([of[at] for of, at in zip(words, key, strict=True)]))
        yield found


def _record(row: Key) -> dict[str, Any] | None:
    """As much of a line as a row of COLUMNS tells; None for one that tells nothing before it is decoded."""
    kind, exe, arguments, cwd, uid, auid, above, payload = row
    if payload is None or not payload.startswith((",", CUT)):
        parsed = parse(payload.encode()) if payload and payload.startswith("{") else None
        return parsed[0] if parsed is not None and kind in parsed[0] else None
    said, _, tail = payload.partition(CUT)
    process = {"binary": exe, "arguments": arguments, "cwd": cwd, "uid": uid, "auid": auid}
    try:
        event = orjson.loads('{"":0' + said.replace(TIME, "") + "}")
        own = orjson.loads('{"":{"":0' + tail.removeprefix(LINEAGE))[""]
    except orjson.JSONDecodeError:
        return None
    return {kind: {**event, "process": process, "parent": {"binary": above}}, "tracehound": own}
