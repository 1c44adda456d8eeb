# SPDX-License-Identifier: Apache-2.0
"""`tracehound tree`: who started a process, and what did it start? By scanning the log."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from agent.cli.arguments import add_color_argument, add_output_argument, add_place_arguments, log_dir_from
from agent.cli.clock import Clock, seconds_between
from agent.cli.color import Palette, palette, wants_color
from agent.cli.family import MOST, Family, Image
from agent.cli.period import Period
from agent.cli.render_own import loss_text
from agent.cli.scan import Scan
from agent.cli.search import find_family, find_pid
from agent.cli.text import clean, shorten_path, words
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, parse_when
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
"""

ARGUMENTS_SHOWN = 200
BINARY_SHOWN = 120
DEEPEST = 60
"""Generations that are indented; those below say how deep they are."""
_LOST = {"exec": "children", "fork": "children", "exit": "the end of processes"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--pid", type=int, metavar="N", help="pid on the host; the newest process that had it"
    )
    target.add_argument("--exec-id", metavar="ID", help="exactly this process and image")
    parser.add_argument("--at", type=parse_when, metavar=METAVAR, help=f"with --pid: alive then; {WHEN_HELP}")
    parser.add_argument("--since", type=parse_when, metavar=METAVAR, help="read no older records")
    add_output_argument(parser, "text", "json")
    add_color_argument(parser)
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the tree and return 0. Raises UsageError when the log does not know the process."""
    scan = Scan(log_dir_from(args), args.since)
    exec_id = args.exec_id or find_pid(scan, args.pid, args.at)
    family, period = find_family(scan, exec_id)
    if args.format == "json":
        print(json.dumps(as_json(family, period)))
    else:
        for line in as_text(family, period, palette(wants_color(args.color))):
            print(line)
    return 0


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
        yield f"{color.warn}! {clean(_warning(loss, clock))}{color.end}"
    if family.full:
        yield f"{color.warn}! more than {MOST:,} descendants; the rest is left out{color.end}"
    zone = time.strftime("%Z")
    yield f"{color.dim}the log covers {clock(period.start)} to {clock(period.end)} {zone}{color.end}"


def _warning(loss: dict[str, Any], clock: Clock) -> str:
    start, end = clock(loss.get("from", "?")), clock(loss.get("to", "?"))
    if loss.get("cause") == "agent_not_running":
        return f"this tree may miss processes between {start} and {end}: the agent did not run"
    if loss.get("cause") == "records_removed":
        return f"this tree may miss processes after {start}: records were removed from the log"
    what = _LOST.get(str(loss.get("hook", "")), "processes")
    text = loss_text({key: value for key, value in loss.items() if key not in ("from", "to")}, clock)
    return f"this tree may miss {what} between {start} and {end}: {text}"


def as_json(family: Family, period: Period) -> dict[str, Any]:
    """The tree as one object; processes are a flat list in the order of the tree."""
    return {
        "target": family.root.exec_id,
        "period": {"from": period.start, "to": period.end},
        "warnings": relevant_losses(family, period),
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
