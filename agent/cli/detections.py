# SPDX-License-Identifier: Apache-2.0
"""`tracehound detections`: what rules found, past and live, with or without a running agent."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from agent.cli.arguments import (
    above_zero,
    add_color_argument,
    add_output_argument,
    add_place_arguments,
    log_dir_from,
    pid,
)
from agent.cli.asking import add_period_arguments, period_of
from agent.cli.clock import Clock
from agent.cli.color import Palette, palette, wants_color
from agent.cli.render_detection import (
    LEVELS,
    TONES,
    about_text,
    level_of,
    lineage_text,
    rule_of,
    story_of,
)
from agent.cli.when import as_log_time
from agent.log.reader import LogReader
from agent.store.records import Problems, Wanted, find_records

HELP = """\
What rules found: one line per detection, with the rule, the process, who started it, and the story that it
belongs to. Needs no running agent."""
EXAMPLES = """\
examples:
  tracehound detections                          of the last day
  tracehound detections -f --level high          from now on, high and critical ones
  tracehound detections --since 7d --rule netcat
  tracehound detections --story 3fa9c1d2         all of one incident
  tracehound detections -o json | jq -r '.tracehound.detection.rules[].title'
"""
DEFAULT_SECONDS = 86400
"""How far back it looks when it is not told."""
SECOND_NS = 1_000_000_000
_LEVEL_WIDE, _RULE_WIDE, _STORY_WIDE = 13, 44, 8

Record = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is found from now on")
    parser.add_argument("-n", "--last", type=above_zero, metavar="N", help="only the last N")
    add_period_arguments(parser)
    parser.add_argument("--rule", metavar="TEXT", help="id of the rule, or a part of its title")
    parser.add_argument("--level", choices=LEVELS, help="that level and above")
    parser.add_argument("--pid", type=pid, metavar="N", help="of the process, or of one that started it")
    parser.add_argument("--story", metavar="ID", help="of one story; the first characters are enough")
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Prints them and returns 0, 1 when there are none. Raises LogUnavailable when the log cannot be read."""
    session = _Session(args)
    session.past()
    if args.follow:
        session.follow()
    session.close()
    if session.shown or args.follow:
        return 0
    told = (
        "of this kind in this period"
        if args.since
        else "of this kind in the last day; --since 7d looks further"
    )
    print(f"tracehound: no detection {told}", file=sys.stderr)
    return 1


def wants(content: Mapping[str, Any], args: argparse.Namespace) -> bool:
    """Whether a detection is one that the arguments ask for."""
    if args.level and LEVELS.index(level_of(content)) < LEVELS.index(args.level):
        return False
    if args.story and not str(content.get("story", "")).startswith(args.story.lower()):
        return False
    if args.pid is not None and args.pid not in _pids(content):
        return False
    return not args.rule or _is_rule(content, args.rule)


def _pids(content: Mapping[str, Any]) -> Iterator[Any]:
    for process in (content.get("process"), *(content.get("ancestors") or ())):
        if isinstance(process, Mapping):
            yield process.get("pid")


def _is_rule(content: Mapping[str, Any], wanted: str) -> bool:
    """Any of the rules that matched the event."""
    rules = [content.get("rule"), *(content.get("rules") or ())]
    told = [rule if isinstance(rule, Mapping) else {"title": rule} for rule in rules]
    return any(
        rule.get("id") == wanted or wanted.lower() in str(rule.get("title", "")).lower() for rule in told
    )


def detection_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Content of a detection's record; empty when it is none."""
    own = record.get("tracehound")
    content = own.get("detection") if isinstance(own, Mapping) else None
    return content if isinstance(content, Mapping) else {}


class _Session:
    """One call."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._directory = log_dir_from(args)
        self._reader = LogReader(self._directory)
        self._end = self._reader.end()
        since, until = period_of(args)
        self._since = since or max(0, time.time_ns() - DEFAULT_SECONDS * SECOND_NS)
        self._until = until
        self._seen: set[str] = set()
        self._table = Table(palette(wants_color(args.color)), sys.stdout.isatty())
        self._problems = Problems()
        self.shown = 0
        """How many were printed."""

    def past(self) -> None:
        """What stands in the log."""
        wanted = Wanted("type", {"detection"}, self._since, self._until)
        found = [
            record
            for record in find_records(self._directory, wanted, self._problems)
            if wants(detection_of(record), self._args)
        ]
        for record in found[-self._args.last :] if self._args.last else found:
            self._show(record)
        sys.stdout.flush()

    def follow(self) -> None:
        """What comes; what stood there already is not shown again."""
        for entry in self._reader.read(self._end, types=("detection",), follow=True):
            content = detection_of(entry.record)
            if content and content.get("id") not in self._seen and wants(content, self._args):
                self._show(entry.record)
                sys.stdout.flush()

    def close(self) -> None:
        """What the answer may lack, on standard error."""
        for problem in self._problems:
            print(f"tracehound: {problem}", file=sys.stderr)
        if not self.shown and sys.stdout.isatty():
            since = as_log_time(self._since)[:19].replace("T", " ")
            print(
                f"tracehound: no detections since {since} UTC (--since looks further back)", file=sys.stderr
            )

    def _show(self, record: Record) -> None:
        self.shown += 1
        content = detection_of(record)
        self._seen.add(str(content.get("id")))
        if self._args.format == "json":
            print(orjson.dumps(record).decode())
        else:
            print(self._table.row(content, str(record.get("time", ""))))


class Table:
    """Lines of a table, with their heads on a terminal."""

    def __init__(self, color: Palette, heads: bool) -> None:
        self._color, self._clock = color, Clock()
        self._heads = heads

    def row(self, content: Mapping[str, Any], time_text: str) -> str:
        """One detection: time, level, rule, story, process and who started it."""
        level = level_of(content)
        tone = getattr(self._color, TONES[level])
        rule = rule_of(content)
        rule = rule if len(rule) <= _RULE_WIDE else f"{rule[: _RULE_WIDE - 1]}…"
        when = self._clock(time_text)
        lineage = lineage_text(content)
        crumb = f"  {self._color.dim}‹ {lineage}{self._color.end}" if lineage else ""
        process = about_text(content)
        line = (
            f"{self._color.dim}{when}{self._color.end} {tone}{level:<{_LEVEL_WIDE}}{self._color.end} "
            f"{rule:<{_RULE_WIDE}} {story_of(content):<{_STORY_WIDE}} {process}{crumb}"
        )
        heads, self._heads = self._heads, False
        return f"{self._head(len(when))}\n{line}" if heads else line

    def _head(self, time_wide: int) -> str:
        names = (
            f"{'TIME':<{time_wide}} {'LEVEL':<{_LEVEL_WIDE}} {'RULE':<{_RULE_WIDE}} "
            f"{'STORY':<{_STORY_WIDE}} PROCESS"
        )
        return f"{self._color.bold}{names}{self._color.end}"
