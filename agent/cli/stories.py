# SPDX-License-Identifier: Apache-2.0
"""`tracehound stories`: incidents that detections add up to; of one its tree and timeline."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agent.cli.arguments import above_zero, add_color_argument, add_output_argument, add_place_arguments
from agent.cli.asking import LATEST, add_period_arguments, period_of, store_of
from agent.cli.clock import Clock
from agent.cli.color import Palette, palette, wants_color
from agent.cli.detections import Table, detection_of
from agent.cli.grown import family_of
from agent.cli.render_detection import LEVELS, STORY_SHOWN, TONES, level_of, process_text, rules_text
from agent.cli.text import clean
from agent.cli.timeline import as_json as timeline_json
from agent.cli.timeline import as_text as timeline_text
from agent.cli.tree import as_text as tree_text
from agent.errors import UsageError
from agent.log.times import parse_time
from agent.store.answers import Timeline
from agent.store.queries import NotFound, Store, timeline, tree
from agent.store.records import Problems, Wanted, find_records

HELP = """\
Incidents: detections of one process subtree that follow each other within ten minutes. With an id, that one's
detections, its processes as a tree, and what they did. Needs no running agent."""
EXAMPLES = """\
examples:
  tracehound stories                      of the last week, the worst first
  tracehound stories --since 1h --level high
  tracehound stories 3fa9c1d2             the tree and the timeline of one
  tracehound stories 3fa9c1d2 -o json | jq .story.techniques
"""
DEFAULT_SECONDS = 7 * 86400
SECOND_NS = 1_000_000_000
AROUND_NS = 60 * SECOND_NS
"""Of the time before and after its detections, a story's tree and timeline show so much, in nanoseconds."""
DETECTIONS_SHOWN = 50

Content = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("story", nargs="?", metavar="ID", help="of one; the first characters are enough")
    add_period_arguments(parser)
    parser.add_argument("--level", choices=LEVELS, help="that level and above")
    parser.add_argument(
        "--limit", type=above_zero, default=1000, metavar="N", help="at most N lines of the timeline (1000)"
    )
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Prints them and returns 0, 1 when there are none. Raises UsageError for an id that no story has."""
    store = store_of(args)
    since, until = period_of(args)
    if not since and not args.story:
        since = max(0, time.time_ns() - DEFAULT_SECONDS * SECOND_NS)
    problems = Problems()
    found = stories(store, since, until, problems)
    for problem in problems:
        print(f"tracehound: {problem}", file=sys.stderr)
    if args.story:
        _one(chosen(found, args.story), store, args)
        return 0
    wanted = [one for one in found if not args.level or _rank(one) >= LEVELS.index(args.level)]
    if args.format == "json":
        print(json.dumps(wanted))
    else:
        _list(wanted, palette(wants_color(args.color)))
    if wanted:
        return 0
    told = (
        "of this kind in this period"
        if args.since
        else "of this kind in the last week; --since 30d looks further"
    )
    print(f"tracehound: no story {told}", file=sys.stderr)
    return 1


def stories(store: Store, since_ns: int, until_ns: int, problems: Problems) -> list[dict[str, Any]]:
    """What is known last of each story that was told of in the period, the worst and newest first."""
    wanted = Wanted("type", {"story"}, since_ns, until_ns)
    found: dict[str, dict[str, Any]] = {}
    for record in find_records(store.log_dir, wanted, problems):
        content = record["tracehound"].get("story")
        if isinstance(content, dict) and isinstance(content.get("id"), str):
            found[content["id"]] = {**content, "node_name": record.get("node_name", "")}
    return sorted(found.values(), key=lambda one: (_rank(one), str(one.get("last"))), reverse=True)


def chosen(found: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one whose id begins so. Raises UsageError when none or several do."""
    fitting = [one for one in found if one["id"].startswith(name.lower())]
    if not fitting:
        raise UsageError(f"no story {name} is in the log", "`tracehound stories --since 30d` lists them")
    if len(fitting) > 1:
        raise UsageError(f"{len(fitting)} stories begin with {name}", "write more of the id")
    return fitting[0]


def _rank(story: Content) -> int:
    return LEVELS.index(level_of(story))


def _list(found: list[dict[str, Any]], color: Palette) -> None:
    clock = Clock()
    if not found:
        if sys.stdout.isatty():
            print("tracehound: no stories (--since looks further back)", file=sys.stderr)
        return
    if sys.stdout.isatty():
        head = f"{'STORY':<8} {'LEVEL':<13} {'STATE':<6} {'COUNT':>7} LAST, PROCESS, RULES"
        print(f"{color.bold}{head}{color.end}")
    for story in found:
        print("\n".join(_row(story, clock, color)))


def _row(story: Content, clock: Clock, color: Palette) -> Iterator[str]:
    level = level_of(story)
    state = "closed" if story.get("state") == "closed" else "open"
    last = clock(str(story.get("last", "")))
    yield (
        f"{clean(str(story['id'])[:STORY_SHOWN])} {getattr(color, TONES[level])}{level:<13}{color.end} "
        f"{state:<6} {int(story.get('count', 0)):>7,} {color.dim}{last}{color.end} "
        f"{process_text(story.get('root'), 60)}  {color.dim}{rules_text(story)}{color.end}"
    )


class _Incident(NamedTuple):
    """A story, and where to ask about it."""

    story: dict[str, Any]
    detections: list[dict[str, Any]]
    """Records of those that were told, in the order of the log."""
    store: Store
    first_ns: int
    last_ns: int
    """What is shown of its processes: a little more than from the first detection to the last."""
    most: int
    """Lines of its timeline."""

    @property
    def root(self) -> str:
        """exec_id of the process at its top."""
        return str((self.story.get("root") or {}).get("exec_id", ""))

    def timeline(self) -> Timeline:
        """Of its subtree. Raises NotFound."""
        return timeline(self.store, self.root, since_ns=self.first_ns, until_ns=self.last_ns, most=self.most)


def _one(story: dict[str, Any], store: Store, args: argparse.Namespace) -> None:
    first, last = _span(story)
    first, last = first - AROUND_NS, last + AROUND_NS
    wanted = Wanted("type", {"detection"}, first, last)
    detections = [
        record
        for record in find_records(store.log_dir, wanted, Problems())
        if detection_of(record).get("story") == story["id"]
    ]
    incident = _Incident(story, detections, store, first, last, args.limit)
    if args.format == "json":
        print(json.dumps(_json(incident)))
        return
    for line in _text(incident, palette(wants_color(args.color))):
        print(line)


def _span(story: Content) -> tuple[int, int]:
    try:
        return parse_time(str(story["first"])), parse_time(str(story["last"]))
    except (KeyError, ValueError):
        return AROUND_NS, LATEST - AROUND_NS


def _json(incident: _Incident) -> dict[str, Any]:
    told: dict[str, Any] = {"story": incident.story, "detections": incident.detections}
    try:
        found = incident.timeline()
    except NotFound as error:
        return told | {"notes": [error.message]}
    processes = {one.exec_id: one for _, one, _ in found.tree.walk()}
    return told | timeline_json(found.happenings, processes, found.tree.completeness, found.truncated)


def _text(incident: _Incident, color: Palette) -> Iterator[str]:
    yield from _head(incident.story, color)
    yield ""
    table = Table(color, heads=True)
    for record in incident.detections[:DETECTIONS_SHOWN]:
        yield table.row(detection_of(record), str(record.get("time", "")))
    if (more := len(incident.detections) - DETECTIONS_SHOWN) > 0:
        yield f"… {more:,} more: tracehound detections --story {incident.story['id']}"
    yield ""
    yield from _processes(incident, color)


def _head(story: Content, color: Palette) -> Iterator[str]:
    clock, level = Clock(), level_of(story)
    count, left_out = int(story.get("count", 0)), int(story.get("suppressed", 0))
    techniques = ", ".join(map(str, story.get("techniques") or ())) or "no techniques named"
    held = f" ({left_out:,} of them only counted)" if left_out else ""
    yield f"{color.bold}story {clean(str(story['id']))}{color.end}"
    raised = f" ({clean(str(story['raised']))})" if story.get("raised") else ""
    counted = f"{count:,} detections{held}, {clean(techniques)}"
    yield f"{getattr(color, TONES[level])}{level}{color.end}{raised}, {counted}"
    yield f"{clock(str(story.get('first')))} to {clock(str(story.get('last')))}: {rules_text(story)}"


def _processes(incident: _Incident, color: Palette) -> Iterator[str]:
    """The tree, and what its processes did."""
    since, until = incident.first_ns, incident.last_ns
    try:
        found_tree = tree(incident.store, incident.root, since_ns=since, until_ns=until)
        yield from tree_text(*family_of(found_tree), color)
        found = incident.timeline()
    except NotFound as error:
        yield f"{color.warn}! {clean(error.message)}{color.end}"
        return
    yield ""
    processes = {one.exec_id: one for _, one, _ in found.tree.walk()}
    yield from timeline_text(found.happenings, processes, found.tree.completeness, found.truncated, color)
