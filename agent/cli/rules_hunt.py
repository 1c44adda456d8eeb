# SPDX-License-Identifier: Apache-2.0
"""`tracehound rules hunt`: would these rules have fired?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from agent.cli.arguments import log_dir_from
from agent.cli.asking import period_of, store_of, sure_json, warnings_of
from agent.cli.clock import Clock
from agent.cli.color import Palette, palette, wants_color
from agent.cli.progress import Progress
from agent.cli.replay import detection_line
from agent.cli.rule_texts import good_exceptions, good_rules
from agent.cli.text import clean
from agent.cli.when import as_log_time
from agent.detect.hunters import Summary, Task, hunt, jobs_for
from agent.detect.rules import Rule
from agent.errors import LogUnavailable
from agent.store.answers import Completeness
from agent.store.picking import Period
from agent.store.queries import Store


def run(args: argparse.Namespace) -> int:
    """Print what is found and return 0."""
    rules = good_rules(args.rules)
    exceptions = good_exceptions(args.exceptions)
    answer = _Answer(args, rules)
    summary, bar = Summary(), Progress("hunting", 1)
    period = Period(*period_of(args))
    task = Task(log_dir_from(args), rules, exceptions, period, args.limit)
    try:
        for content in hunt(task, jobs_for(task, args.jobs), summary, bar.at):
            bar.close()  # it is drawn again below what is printed
            answer.add(content)
    except BrokenPipeError:  # of who reads the answer
        raise
    except OSError as error:
        raise LogUnavailable(f"cannot read the log in {task.log_dir}: {error.strerror}") from error
    finally:
        bar.close()
    answer.close(summary, _completeness(args, period), period)
    return 0


def _completeness(args: argparse.Namespace, period: Period) -> Completeness:
    """Which losses and holes the log has in the period."""
    store: Store = store_of(args)
    return store.ask(lambda _, coverage: coverage.within(period.since_ns, period.until_ns))


class _Answer:
    """Shows detections as they come, and counts."""

    def __init__(self, args: argparse.Namespace, rules: tuple[Rule, ...]) -> None:
        self._args, self._rules = args, rules
        self._color: Palette = palette(wants_color(args.color))
        self._clock = Clock()
        self._found: list[dict[str, Any]] = []

    def add(self, content: dict[str, Any]) -> None:
        """One detection."""
        if self._args.format == "json":
            self._found.append(content)
        else:
            when = self._clock(str((content.get("event") or {}).get("time", "")))
            print(f"{self._color.dim}{when}{self._color.end} {detection_line(content, self._color)}")

    def close(self, summary: Summary, sure: Completeness, period: Period) -> None:
        """What was found, by rule, and what the answer may lack."""
        counted, problems = summary.counts, summary.problems
        if self._args.format == "json":
            counts = {rule.id: counted[rule.id] for rule in self._rules}
            notes = {"notes": [*sure.notes, *problems]}
            answer = sure_json(sure) | notes | {"counts": counts, "detections": self._found}
            print(json.dumps(answer))
            return
        total = counted.total()
        if total > self._args.limit:
            print(f"… {total - self._args.limit:,} more; --limit shows more")
        for rule in sorted(self._rules, key=lambda one: -counted[one.id]):
            if counted[rule.id] or len(self._rules) <= 10:
                print(f"{counted[rule.id]:>9,}  {clean(rule.title)}")
        if len(self._rules) > 10:
            quiet = sum(1 for rule in self._rules if not counted[rule.id])
            print(f"{quiet:,} of {len(self._rules):,} rules found nothing")
        uncovered = _uncovered(sure, period, self._clock)
        for text in [*problems, *warnings_of(sure, self._clock, "this answer"), *uncovered]:
            print(f"{self._color.warn}! {clean(text)}{self._color.end}", file=sys.stderr)


def _uncovered(sure: Completeness, period: Period, clock: Clock) -> Iterator[str]:
    """What the log cannot answer, of a period that somebody has named: before it begins, after it ends."""
    begin, end = clock(as_log_time(sure.from_ns)), clock(as_log_time(sure.to_ns))
    if sure.from_ns and 0 < period.since_ns < sure.from_ns:
        yield f"the log begins at {begin}: what was before it is not known"
    if sure.to_ns and period.since_ns > sure.to_ns:
        yield f"the log ends at {end}: nothing of this period stands in it"
