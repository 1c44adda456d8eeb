# SPDX-License-Identifier: Apache-2.0
"""`tracehound timeline`: everything that a process and its descendants did."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent.cli.arguments import above_zero, add_color_argument, add_output_argument, add_place_arguments
from agent.cli.asking import (
    add_period_arguments,
    add_target_arguments,
    notes_below,
    period_of,
    store_of,
    sure_json,
    targets_of,
    when,
)
from agent.cli.clock import Clock
from agent.cli.color import Palette, palette, wants_color
from agent.cli.text import base_name, clean
from agent.store.answers import Completeness, Happening, Process
from agent.store.queries import timeline

HELP = """\
Everything that a process and its descendants did, in order: programs, files, peers, credentials, detections,
ends. From the store and the live log; needs no running agent."""
EXAMPLES = """\
examples:
  tracehound timeline --pid 4711 --at 03:12
  tracehound timeline --pod shop/cart-7c9d --since 03:00 --until 04:00
  tracehound timeline --pid 4711 --limit 50                  what it did last
  tracehound timeline --exec-id bjE6MTIzNDU2Nzg5OjQ3MTE= -o json | jq -c .events[]
"""
ROOTS_MOST = 20
"""Processes whose timelines are put together."""
SUMMARY_SHOWN = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    add_target_arguments(parser)
    add_period_arguments(parser)
    parser.add_argument(
        "--limit",
        type=above_zero,
        default=10_000,
        metavar="N",
        help="the newest N events, as tail would (default 10000); --until shows what came before",
    )
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the timeline and return 0. Raises UsageError when the log does not know the process."""
    store, (since, until) = store_of(args), period_of(args)
    found = [
        timeline(store, exec_id, since_ns=since, until_ns=until, most=max(args.limit, 0))
        for exec_id in targets_of(args, store)[:ROOTS_MOST]
    ]
    processes = {one.exec_id: one for told in found for _, one, _ in told.tree.walk()}
    rows = {(one.time_ns, one.sequence): one for told in found for one in told.happenings}
    happenings = [rows[key] for key in sorted(rows)[-args.limit :]]
    left_out = sum(told.truncated for told in found) + len(rows) - len(happenings)
    sure = found[0].tree.completeness
    if args.format == "json":
        print(json.dumps(as_json(happenings, processes, sure, left_out)))
        return 0
    for line in as_text(happenings, processes, sure, left_out, palette(wants_color(args.color))):
        print(line)
    return 0


def as_text(
    happenings: list[Happening],
    processes: Mapping[str, Process],
    sure: Completeness,
    left_out: int,
    color: Palette,
) -> Iterator[str]:
    """One line per event, and below what it may lack."""
    clock = Clock()
    for one in happenings:
        process = processes.get(one.exec_id)
        pid, name = (process.pid, base_name(process.binary)) if process is not None else ("?", "")
        who = f"{pid:>7} {name:<15}"
        summary = clean(one.summary)
        text = summary if len(summary) <= SUMMARY_SHOWN else f"{summary[:SUMMARY_SHOWN]}…"
        extra = f"  {color.dim}[{clean(one.policy)}]{color.end}" if one.policy else ""
        yield f"{clock(when(one.time_ns))} {who} {text}{extra}"
    if left_out:
        yield f"{color.warn}! {left_out:,} older events are left out; --limit shows more{color.end}"
    yield from notes_below(sure, clock, color, "this timeline")


def as_json(
    happenings: list[Happening], processes: Mapping[str, Process], sure: Completeness, left_out: int
) -> dict[str, Any]:
    """The timeline as one object."""
    events = [event_json(one, processes) for one in happenings]
    return sure_json(sure) | {"truncated": left_out, "events": events}


def event_json(one: Happening, processes: Mapping[str, Process]) -> dict[str, Any]:
    """One event with who did it."""
    process = processes.get(one.exec_id)
    fields = {
        "time": when(one.time_ns),
        "sequence": one.sequence,
        "type": one.type,
        "exec_id": one.exec_id,
        "pid": process.pid if process is not None else None,
        "binary": process.binary if process is not None else "",
        "summary": one.summary,
        "function": one.function,
        "policy": one.policy,
        "action": one.action,
        "path": one.path,
        "address": one.address,
    }
    return {key: value for key, value in fields.items() if value not in ("", None)}
