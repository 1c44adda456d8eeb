# SPDX-License-Identifier: Apache-2.0
"""Exceptions: files that say which hits of which rules nobody has to look at, who says so, and until when.

    - name: borg backs up /etc
      rules: [e26b79b8-c7d6-4f9f-8db2-c804c609f363]
      owner: alice@example.com
      reason: nightly backup, OPS-1234
      expires: 2026-12-31
      when: {Image: /usr/bin/borg, ParentImage|endswith: /cron}

All of `when` has to hold, with Sigma's names of fields and plain values. An exception counts for events
before the end of its day of expiry (UTC), so that the past is judged the same whenever it is. What is wrong
is refused with file and line, and the other exceptions of the file count.
"""

from __future__ import annotations

import datetime
import difflib
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from agent.configuration.values import shorten
from agent.detect.documents import Item, Unreadable, documents, read_bytes
from agent.detect.fields import VIEWS, field_of, names_of
from agent.detect.rules import RuleProblem

FIELDS = ("name", "rules", "owner", "reason", "expires", "when")
"""Every exception has all of them."""
MODIFIERS = ("", "startswith", "endswith", "contains", "cidr")
SHORTEST = 3
"""A part of a text that is shorter stands for nearly everything."""
DAY_NS = 86_400_000_000_000

Values = Callable[[str], Sequence[str]]
"""The values of a field of an event, as rules see it; none where the event does not have it."""


class Part(NamedTuple):
    """One field of `when`: it holds when some value of the field fits one of these."""

    field: str
    modifier: str
    values: tuple[str, ...]

    def holds(self, values: Sequence[str]) -> bool:
        """For an event with these values."""
        return any(_fits(self.modifier, value, wanted) for value in values for wanted in self.values)

    def __str__(self) -> str:
        return f"{self.field}|{self.modifier}" if self.modifier else self.field


@dataclass(frozen=True, slots=True)
class RuleException:
    """One exception."""

    name: str
    rules: tuple[str, ...]
    """Ids."""
    owner: str
    reason: str
    expires_ns: int
    """The end of the day that is written, wall-clock nanoseconds."""
    when: tuple[Part, ...]
    path: Path
    line: int

    @property
    def expires(self) -> str:
        """The last day on which it counts."""
        return _day_of(self.expires_ns - 1).isoformat()

    def silences(self, values: Values, time_ns: int) -> bool:
        """Whether a hit of one of its rules, by an event of this time (wall-clock nanoseconds), is meant."""
        return time_ns < self.expires_ns and all(part.holds(values(part.field)) for part in self.when)


class Exceptions(NamedTuple):
    """What files say."""

    all: tuple[RuleException, ...] = ()
    problems: tuple[RuleProblem, ...] = ()

    def silencing(self, rule: str, values: Values, time_ns: int) -> RuleException | None:
        """The first exception that is meant for a hit; None when somebody has to look at it."""
        for one in self.all:
            if rule in one.rules and one.silences(values, time_ns):
                return one
        return None

    def expired(self, now_ns: int) -> list[RuleException]:
        """Those that have no effect any more."""
        return [one for one in self.all if one.expires_ns <= now_ns]

    def unknown(self, rules: Iterable[str]) -> list[tuple[RuleException, str]]:
        """Exceptions that name rules which are not there, and which."""
        known = set(rules)
        return [(one, rule) for one in self.all for rule in one.rules if rule not in known]


def read_exceptions(paths: Iterable[Path | str]) -> Exceptions:
    """Reads files, and directories (`*.yml`, `*.yaml`). What does not exist is empty. Raises nothing."""
    found: list[RuleException] = []
    problems: list[RuleProblem] = []
    for path in _files(paths, problems):
        try:
            for item in documents(read_bytes(path)):
                found += _read(path, item, problems)
        except Unreadable as error:
            problems.append(RuleProblem(path, error.line, error.text, error.message, error.hint))
    return Exceptions(tuple(found), tuple(problems))


def parse_exceptions(text: str, path: Path) -> Exceptions:
    """As `read_exceptions`, of a text that is no file yet. Raises Unreadable."""
    problems: list[RuleProblem] = []
    found = [one for item in documents(text.encode()) for one in _read(path, item, problems)]
    return Exceptions(tuple(found), tuple(problems))


def _files(paths: Iterable[Path | str], problems: list[RuleProblem]) -> Iterator[Path]:
    for path in map(Path, paths):
        try:
            if path.is_dir():
                found = sorted(one for one in path.iterdir() if one.suffix in (".yml", ".yaml"))
                yield from (one for one in found if not one.is_fifo())  # which would be waited for
            elif path.exists():
                yield path
        except OSError as error:
            problem = f"cannot be read: {error.strerror}"
            problems.append(RuleProblem(path, 0, "", problem, "check its permissions"))


class _Wrong(Exception):
    def __init__(self, line: int, text: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.line, self.text, self.message, self.hint = line, text, message, hint


def _read(path: Path, item: Item, problems: list[RuleProblem]) -> Iterator[RuleException]:
    entries = item.value if isinstance(item.value, list) else [item]
    for entry in entries:
        try:
            yield _exception(path, entry)
        except _Wrong as wrong:
            problems.append(RuleProblem(path, wrong.line, wrong.text, wrong.message, wrong.hint))


def _exception(path: Path, item: Item) -> RuleException:
    if not isinstance(item.value, dict):
        raise _Wrong(item.line, _said(item), "an exception is a mapping", f"write {', '.join(FIELDS)}")
    for key, entry in item.value.items():
        if key not in FIELDS:
            raise _Wrong(entry.line, key, "unknown key", f"an exception has {', '.join(FIELDS)}")
    for key in FIELDS:
        if key not in item.value:
            raise _Wrong(item.line, "", f"`{key}` is missing", f"an exception has {', '.join(FIELDS)}")
    rules = tuple(rule.lower() for rule in _texts(item.value["rules"]))
    return RuleException(
        _text(item.value["name"]), rules, _text(item.value["owner"]), _text(item.value["reason"]),
        _expiry(item.value["expires"]), _when(item.value["when"]), path, item.line,
    )  # fmt: skip


def _text(item: Item) -> str:
    if not isinstance(item.value, str) or not item.value.strip():
        raise _Wrong(item.line, _said(item), "expected a text that is not empty", "")
    return item.value.strip()


def _texts(item: Item) -> tuple[str, ...]:
    items = item.value if isinstance(item.value, list) else [item]
    if not items:
        raise _Wrong(item.line, "[]", "an empty list is meant for nothing", "name at least one")
    return tuple(_text(one) for one in items)


def _expiry(item: Item) -> int:
    """The end of a day."""
    value = item.value
    if isinstance(value, str):
        try:
            value = datetime.date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise _Wrong(item.line, _said(item), "is no day", "write the last day on which it counts: 2026-12-31")
    return ((value - datetime.date(1970, 1, 1)).days + 1) * DAY_NS


def _when(item: Item) -> tuple[Part, ...]:
    if not isinstance(item.value, dict) or not item.value:
        hint = "without a condition a rule is off: leave its file out of detect.dirs then"
        raise _Wrong(item.line, _said(item), "`when` needs at least one field", hint)
    return tuple(_part(key, entry) for key, entry in item.value.items())


def _part(key: str, item: Item) -> Part:
    field, _, modifier = key.partition("|")
    if modifier not in MODIFIERS or not field:
        known = ", ".join(one for one in MODIFIERS if one)
        raise _Wrong(item.line, key, "unknown modifier", f"there are {known}, or none for the whole value")
    _check_field(field, item.line)
    items = item.value if isinstance(item.value, list) else [item]
    values = tuple(_value(one, modifier) for one in items)
    if not values:
        raise _Wrong(item.line, key, "an empty list is meant for nothing", "name at least one value")
    return Part(field, modifier, values)


def _check_field(field: str, line: int) -> None:
    """A field that no event has silences nothing, and nobody would notice."""
    if any(field_of(view, field).source is not None for view in VIEWS):
        return
    known = [name for view in VIEWS for name in names_of(view)]
    close = difflib.get_close_matches(field, known, 1)
    raise _Wrong(
        line, field, "no event has this field", f"perhaps {close[0]}" if close else "as rules name it"
    )


def _value(item: Item, modifier: str) -> str:
    if isinstance(item.value, bool) or not isinstance(item.value, str | int):
        raise _Wrong(item.line, _said(item), "expected a text or a number", "")
    text = str(item.value)
    if modifier == "cidr":
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise _Wrong(item.line, text, "is no network", "write 192.0.2.0/24") from None
    if modifier and len(text) < SHORTEST:
        raise _Wrong(
            item.line, text, f"parts of texts have at least {SHORTEST} characters", "write more of it"
        )
    return text.casefold()


def _fits(modifier: str, value: str, wanted: str) -> bool:
    if modifier == "cidr":
        try:
            return ipaddress.ip_address(value) in ipaddress.ip_network(wanted)
        except ValueError:
            return False
    return bool(_TESTS[modifier](value.casefold(), wanted))


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "": str.__eq__,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}


def _said(item: Item) -> str:
    plain: Any = item.plain()
    return shorten(str(plain))


def _day_of(wall_ns: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=wall_ns // DAY_NS)
