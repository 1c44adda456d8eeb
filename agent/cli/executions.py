# SPDX-License-Identifier: Apache-2.0
"""`tracehound executions`: who ran a program?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from agent.cli.arguments import (
    above_zero,
    add_color_argument,
    add_output_argument,
    add_place_arguments,
    as_logged,
)
from agent.cli.asking import (
    add_period_arguments,
    notes_below,
    period_of,
    process_json,
    store_of,
    sure_json,
    when,
)
from agent.cli.clock import Clock
from agent.cli.color import Palette, palette, wants_color
from agent.cli.text import clean, shorten_path
from agent.store.answers import Executions, Process
from agent.store.queries import executions

HELP = """\
All executions of a program, oldest first, from the store's index and the live log. Needs no running agent."""
EXAMPLES = """\
examples:
  tracehound executions --binary /usr/bin/curl --since 7d
  tracehound executions --binary curl                       the last part of the path
  tracehound executions --binary '/tmp/*' -o json | jq -r '.executions[].exec_id'
"""
ARGUMENTS_SHOWN = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument(
        "--binary",
        required=True,
        type=as_logged,
        metavar="PATH",
        help="whole path, last part of it, or a pattern with *?[",
    )
    add_period_arguments(parser)
    parser.add_argument(
        "--limit", type=above_zero, default=10_000, metavar="N", help="at most N of them (default 10000)"
    )
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print them and return 0, 1 when there are none."""
    since, until = period_of(args)
    found = executions(store_of(args), args.binary, since_ns=since, until_ns=until, most=max(args.limit, 0))
    if args.format == "json":
        print(json.dumps(as_json(found)))
    else:
        print("\n".join(as_text(found, palette(wants_color(args.color)))))
    return 0 if found.processes else 1


def as_text(found: Executions, color: Palette) -> Iterator[str]:
    """One line per process."""
    clock = Clock()
    for process in found.processes:
        arguments = clean(process.arguments[:ARGUMENTS_SHOWN])
        cut = "…" if len(process.arguments) > ARGUMENTS_SHOWN else ""
        where = clean(process.container[:12]) or "host"
        user = clean(process.user) or (f"uid {process.uid}" if process.uid is not None else "?")
        program = f"{shorten_path(process.binary, 120)} {arguments}{cut}".rstrip()
        yield (
            f"{clock(when(process.start_ns))} {where:<12} {user:<8} {process.pid:>7} {program}"
            f"  {color.dim}{_end(process)}{color.end}"
        )
    if found.truncated:
        yield f"{color.warn}! {found.truncated:,} more are left out; --limit shows more{color.end}"
    yield from notes_below(found.completeness, clock, color, "this list")


def _end(process: Process) -> str:
    if process.state == "exited":
        return clean(process.signal) or f"status {process.status}"
    return process.state


def as_json(found: Executions) -> dict[str, Any]:
    """One object."""
    return sure_json(found.completeness) | {
        "truncated": found.truncated,
        "executions": [process_json(process) for process in found.processes],
    }
