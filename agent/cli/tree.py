# SPDX-License-Identifier: Apache-2.0
"""`tracehound tree`: who started a process, and what did it start? By scanning the log."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from agent.cli.arguments import add_color_argument, add_output_argument, add_place_arguments, log_dir_from
from agent.cli.asking import add_period_arguments, add_target_arguments, warning
from agent.cli.clock import Clock, seconds_between
from agent.cli.color import Palette, palette, wants_color
from agent.cli.family import MOST, Family, Image
from agent.cli.grown import family_of, has_store
from agent.cli.period import Period
from agent.cli.scan import Scan
from agent.cli.search import find_family, find_pid
from agent.cli.text import clean, shorten_path, words
from agent.configuration.units import human_duration

HELP = """\
Ancestors and descendants of a process, from the log: right under pid reuse, and long after all of them
have exited. Needs no running agent."""
EXAMPLES = """\
  ⇒ marks a program that replaced another one in the same process (exec without fork).

examples:
  tracehound tree --pid $$                     this shell
  tracehound tree --pid 4711 --at 14:32        the process that had this pid then
  tracehound tree --pid 4711 --since 1h        faster in a large log
  tracehound tree --exec-id bjE6MTIzNDU2Nzg5OjQ3MTE= -o json
  tracehound tree --pod shop/cart-7c9d --since 03:00 --until 04:00
  tracehound tree --file /tmp/x --ancestors    who ran or touched it, and who started them
  tracehound tree --address 203.0.113.7 -o html > who.html
"""

MOST_EVENTS = 50_000
"""Events in a tree as HTML."""
ARGUMENTS_SHOWN = 200
BINARY_SHOWN = 120
DEEPEST = 60
"""Generations that are indented; those below say how deep they are."""
TREES_MOST = 20
"""Trees shown for a pod, container, file or address; more are named."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    add_target_arguments(parser)
    add_period_arguments(parser)
    parser.add_argument("--ancestors", action="store_true", help="ancestors only (default: both)")
    parser.add_argument("--descendants", action="store_true", help="descendants only (default: both)")
    add_output_argument(parser, "text", "json", "html")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tree and return 0. Raises UsageError when the log does not know the process."""
    if args.format == "html":
        return _html(args)
    if _is_simple(args):
        scan = Scan(log_dir_from(args), args.since)
        exec_id = args.exec_id or find_pid(scan, args.pid, args.at)
        found = [find_family(scan, exec_id)]
    else:
        found = _ask_store(args)
    if args.format == "json":
        shown = [as_json(family, period) for family, period in found]
        print(json.dumps(shown[0] if len(shown) == 1 else shown))
        return 0
    for number, (family, period) in enumerate(found):
        if number:
            print()
        for line in as_text(family, period, palette(wants_color(args.color))):
            print(line)
    return 0


def _html(args: argparse.Namespace) -> int:
    """The report of the same processes; `tracehound report` has more to choose."""
    from agent import __version__
    from agent.cli.incident import Wanted, gather
    from agent.store.report.facts import Facts
    from agent.store.report.page import render

    wanted = Wanted(
        args.exec_id or "",
        args.pid,
        args.pod or "",
        args.container or "",
        args.file or "",
        args.address or "",
        args.at,
        args.since,
        args.until,
    )
    incident = gather(log_dir_from(args), wanted, MOST_EVENTS, None)
    print(render(incident.timeline, Facts(__version__, time.time_ns(), node=incident.node)))
    return 0


def _is_simple(args: argparse.Namespace) -> bool:
    """Whether a search through lines answers it: nothing is compacted, and nothing newer is asked for."""
    special = args.pod or args.container or args.file or args.address or args.until is not None
    if special or args.ancestors or args.descendants:
        return False
    return not has_store(log_dir_from(args))


def _ask_store(args: argparse.Namespace) -> list[tuple[Family, Period]]:
    from agent.cli.asking import period_of, store_of, targets_of
    from agent.store.queries import tree

    since, until = period_of(args)
    store = store_of(args)
    targets = targets_of(args, store)
    both = args.ancestors == args.descendants
    if len(targets) > TREES_MOST:
        print(f"tracehound: {len(targets):,} processes; the first {TREES_MOST} are shown", file=sys.stderr)
    return [
        family_of(
            tree(
                store,
                exec_id,
                since_ns=since,
                until_ns=until,
                ancestors=both or args.ancestors,
                descendants=both or args.descendants,
            )
        )
        for exec_id in targets[:TREES_MOST]
    ]


def relevant_losses(family: Family, period: Period) -> list[dict[str, Any]]:
    """The losses that fall into the life of the tree."""
    ends = [image.end for image in family.images.values() if image.state == "exited"]
    running = any(image.state == "running" for image in family.images.values())
    last = period.end if running or not ends else max(ends)
    return [
        loss
        for loss in period.losses
        if loss.get("from", "") <= last and loss.get("to", "9") >= family.root.start
    ]


def as_text(family: Family, period: Period, color: Palette) -> Iterator[str]:
    """The tree as lines."""
    clock = Clock()
    ancestors = family.line_of_ancestors()
    for depth, image in enumerate(ancestors):
        yield f"{_indent(depth, image)}{color.dim}{_describe(image, period, clock, color)}{color.end}"
    base = "   " * max(len(ancestors) - 1, 0)
    first = 0 if ancestors else 1  # a root without ancestors stands at the margin
    path: list[bool] = []  # of each image above the current one: whether it is its parent's last
    for depth, image, last in family.walk():
        if depth > DEEPEST:
            stem = f"[{depth} deep] "
        else:
            stem = "".join("   " if ended else "│  " for ended in path[first:depth])
        branch = ("└" if last else "├") + ("⇒ " if image.replaces else "─ ") if depth >= first else ""
        yield base + stem + branch + _line(family, image, period, clock, color)
        path[depth:] = [last]
    yield from _notes(family, period, clock, color)


def _indent(depth: int, image: Image) -> str:
    return "   " * (depth - 1) + ("└⇒ " if image.replaces else "└─ ") if depth else ""


def _line(family: Family, image: Image, period: Period, clock: Clock, color: Palette) -> str:
    text = _describe(image, period, clock, color)
    return f"{color.bold}{text}  ◀{color.end}" if image is family.root else text


def _describe(image: Image, period: Period, clock: Clock, color: Palette) -> str:
    """`1003 /bin/cat /etc/shadow  (root, 00:00:05.000, SIGKILL after 100ms)`."""
    program = shorten_path(image.binary, BINARY_SHOWN) if image.binary else "(not in the log)"
    arguments = image.arguments
    if isinstance(arguments, str):
        text = clean(arguments[:ARGUMENTS_SHOWN]) + ("…" if len(arguments) > ARGUMENTS_SHOWN else "")
    else:
        text = words(arguments[1:], ARGUMENTS_SHOWN)
    facts = ", ".join(fact for fact in _facts(image, period, clock, color) if fact)
    return f"{image.pid or '?'} {program}{' ' if text else ''}{text}" + (f"  ({facts})" if facts else "")


def _facts(image: Image, period: Period, clock: Clock, color: Palette) -> Iterator[str]:
    if image.container:
        yield clean(image.container[:12])
    if image.uid is not None:
        yield clean(image.user) or f"uid {image.uid}"
    if image.start:
        yield clock(image.start)
    if image.state == "exited":
        lived = seconds_between(image.start, image.end)
        after = f" after {human_duration(lived)}" if lived is not None else ""
        tone = color.bad if image.signal else color.warn if image.status else ""
        yield f"{tone}{clean(image.signal) or f'status {image.status}'}{tone and color.end}{after}"
    elif image.state == "replaced":
        lived = seconds_between(image.start, image.replaced_at)
        yield "replaced" + (f" after {human_duration(lived)}" if lived is not None else "")
    elif image.binary:
        yield "running" if not _rebooted(image, period) else "until the machine restarted"


def _rebooted(image: Image, period: Period) -> bool:
    return any(time > image.start for time in period.reboots)


def _notes(family: Family, period: Period, clock: Clock, color: Palette) -> Iterator[str]:
    """What the tree may lack, and what was read."""
    for loss in relevant_losses(family, period):
        yield f"{color.warn}! {clean(warning(loss, clock, 'this tree'))}{color.end}"
    for note in period.notes:
        yield f"{color.warn}! {clean(note)}{color.end}"
    if family.full:
        yield f"{color.warn}! more than {MOST:,} descendants; the rest is left out{color.end}"
    zone = time.strftime("%Z")
    yield f"{color.dim}the log covers {clock(period.start)} to {clock(period.end)} {zone}{color.end}"


def as_json(family: Family, period: Period) -> dict[str, Any]:
    """The tree as one object; processes are a flat list in the order of the tree."""
    return {
        "target": family.root.exec_id,
        "period": {"from": period.start, "to": period.end},
        "warnings": relevant_losses(family, period),
        **({"notes": period.notes} if period.notes else {}),
        "complete": not family.full,
        "ancestors": [_fields(image, period) for image in family.line_of_ancestors()],
        "processes": [{"depth": depth, **_fields(image, period)} for depth, image, _ in family.walk()],
    }


def _fields(image: Image, period: Period) -> dict[str, Any]:
    state = "unknown" if not image.binary else image.state
    fields = {
        "exec_id": image.exec_id,
        "pid": image.pid,
        "parent_exec_id": image.parent_id,
        "binary": image.binary,
        "arguments": image.arguments if isinstance(image.arguments, str) else list(image.arguments),
        "uid": image.uid,
        "user": image.user,
        "docker": image.container,
        "start_time": image.start,
        "state": "exited" if state == "running" and _rebooted(image, period) else state,
        "replaces_parent": image.replaces,
        "recorded": image.recorded,
    }
    if image.end:
        fields |= {"end_time": image.end, "status": image.status, "signal": image.signal}
    return {key: value for key, value in fields.items() if value not in ("", None)}
