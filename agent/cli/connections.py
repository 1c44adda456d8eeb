# SPDX-License-Identifier: Apache-2.0
"""`tracehound connections`: who talked to an address?"""

from __future__ import annotations

import argparse
import json

from agent.cli.arguments import above_zero, add_color_argument, add_output_argument, add_place_arguments
from agent.cli.asking import add_period_arguments, address_of, period_of, store_of
from agent.cli.color import palette, wants_color
from agent.cli.timeline import as_json, as_text
from agent.store.queries import connections

HELP = """\
Events whose peer is an address, with the processes that talked to it. What is there depends on the policies
that were loaded: see `tracehound policy list`."""
EXAMPLES = """\
examples:
  tracehound connections --address 203.0.113.7 --since 1d
  tracehound connections --address 2001:db8::1 -o json | jq -r .events[].binary | sort | uniq -c
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    parser.add_argument("--address", required=True, metavar="IP", help="the peer's")
    add_period_arguments(parser)
    parser.add_argument(
        "--limit", type=above_zero, default=10_000, metavar="N", help="the newest N events (default 10000)"
    )
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the events and return 0, 1 when there are none. Raises UsageError for what is no address."""
    address = address_of(args.address)
    since, until = period_of(args)
    found = connections(
        store_of(args), address=address, since_ns=since, until_ns=until, most=max(args.limit, 0)
    )
    if args.format == "json":
        print(json.dumps(as_json(found.happenings, found.processes, found.completeness, found.truncated)))
    else:
        color = palette(wants_color(args.color))
        for line in as_text(found.happenings, found.processes, found.completeness, found.truncated, color):
            print(line.replace("this timeline", "this list"))
    return 0 if found.happenings else 1
