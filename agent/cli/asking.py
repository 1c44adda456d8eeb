# SPDX-License-Identifier: Apache-2.0
"""What the commands that ask the store have in common: targets, periods, progress, how sure an answer is."""

from __future__ import annotations

import argparse
import ipaddress
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from agent.cli.arguments import as_logged, log_dir_from, pid
from agent.cli.clock import Clock
from agent.cli.color import Palette
from agent.cli.render_own import loss_text
from agent.cli.text import clean
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, as_log_time, parse_when
from agent.errors import UsageError
from agent.store.answers import Completeness, Process
from agent.store.queries import Store, find

LATEST = 1 << 62
PATIENCE_S = 1.0
"""So long a search goes on before it shows how far it is."""
_LOST = {"exec": "children", "fork": "children", "exit": "the end of processes"}


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose tree: one of them has to be given."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--pid", type=pid, metavar="N", help="pid on the host; the newest process that had it"
    )
    target.add_argument("--exec-id", type=as_logged, metavar="ID", help="exactly this process and image")
    target.add_argument("--pod", type=as_logged, metavar="NS/NAME", help="the first processes of a pod")
    target.add_argument(
        "--container",
        type=as_logged,
        metavar="ID",
        help="the first processes of a container (8 characters are enough)",
    )
    target.add_argument("--file", type=as_logged, metavar="PATH", help="whoever ran or touched this file")
    target.add_argument("--address", type=as_logged, metavar="IP", help="whoever talked to this peer")
    parser.add_argument("--at", type=parse_when, metavar=METAVAR, help=f"with --pid: alive then; {WHEN_HELP}")


def add_period_arguments(parser: argparse.ArgumentParser) -> None:
    """--since, --until."""
    parser.add_argument("--since", type=parse_when, metavar=METAVAR, help="nothing older")
    parser.add_argument("--until", type=parse_when, metavar=METAVAR, help="nothing younger")


def period_of(args: argparse.Namespace) -> tuple[int, int]:
    """Wall-clock nanoseconds. Raises UsageError when it ends before it begins."""
    since, until = args.since or 0, LATEST if args.until is None else args.until
    if since > until:
        raise UsageError(
            f"--since {as_log_time(since)} is later than --until {as_log_time(until)}", "swap the two"
        )
    return max(since, 0), min(until, LATEST)


def store_of(args: argparse.Namespace) -> Store:
    """The log directory that the arguments name."""
    return Store(log_dir_from(args), Progress() if sys.stderr.isatty() else None)


def targets_of(args: argparse.Namespace, store: Store) -> list[str]:
    """exec_ids of what was asked for."""
    since, until = period_of(args)
    if args.pod and "/" not in args.pod:
        raise UsageError(f"--pod {args.pod}: no namespace", "write --pod NAMESPACE/NAME")
    if args.container and len(args.container) < 8:
        raise UsageError(f"--container {args.container}: too short", "give at least 8 characters")
    return find(
        store,
        exec_id=args.exec_id or "",
        pid=args.pid,
        at_ns=args.at,
        pod=args.pod or "",
        container=args.container or "",
        path=args.file or "",
        address=address_of(args.address) if args.address else "",
        since_ns=since,
        until_ns=until,
    )


def address_of(text: str) -> str:
    """An IP address as the log writes it. Raises UsageError."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise UsageError(f"--address {text}: no IP address", "names are not resolved") from None


class Progress:
    """Shows on a terminal how far a long search is."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._began > PATIENCE_S:
            end = "\r" if done + 1 < total else "\r\x1b[K"
            sys.stderr.write(f"\x1b[Kread {done} of {total} segments{end}")
            sys.stderr.flush()


def warnings_of(sure: Completeness, clock: Clock, what: str) -> Iterator[str]:
    """Sentences about what an answer (`this tree`) may miss."""
    for loss in sure.losses:
        yield clean(warning(loss, clock, what))
    for first, last in sure.gaps:
        yield f"{what} may miss {last - first + 1} records ({first} to {last}): they are gone from the log"
    for note in sure.notes:
        yield clean(note)


def warning(loss: Mapping[str, Any], clock: Clock, what: str) -> str:
    """What a loss may have taken."""
    start, end = clock(loss.get("from", "?")), clock(loss.get("to", "?"))
    if loss.get("cause") == "agent_not_running":
        return f"{what} may miss processes between {start} and {end}: the agent did not run"
    if loss.get("cause") == "records_removed":
        return f"{what} may miss processes after {start}: records were removed from the log"
    missing = _LOST.get(str(loss.get("hook", "")), "processes")
    text = loss_text({key: value for key, value in loss.items() if key not in ("from", "to")}, clock)
    return f"{what} may miss {missing} between {start} and {end}: {text}"


def notes_below(sure: Completeness, clock: Clock, color: Palette, what: str) -> Iterator[str]:
    """Lines below an answer: warnings, and which period the log covers."""
    for text in warnings_of(sure, clock, what):
        yield f"{color.warn}! {text}{color.end}"
    if sure.from_ns:
        covers = f"{clock(as_log_time(sure.from_ns))} to {clock(as_log_time(sure.to_ns))}"
        yield f"{color.dim}the log covers {covers} {time.strftime('%Z')}{color.end}"


def sure_json(sure: Completeness) -> dict[str, Any]:
    """Completeness as it stands in every JSON answer."""
    return {
        "period": {"from": when(sure.from_ns), "to": when(sure.to_ns)},
        "warnings": list(sure.losses),
        "gaps": [list(gap) for gap in sure.gaps],
        "notes": list(sure.notes),
    }


def when(wall_ns: int) -> str:
    """A time of the log; empty when there is none."""
    return as_log_time(wall_ns) if wall_ns else ""


def process_json(process: Process) -> dict[str, Any]:
    """A process, by the names that `tree -o json` uses."""
    fields: dict[str, Any] = {
        "exec_id": process.exec_id,
        "pid": process.pid,
        "parent_exec_id": process.parent_exec_id,
        "binary": process.binary,
        "arguments": process.arguments,
        "cwd": process.cwd,
        "uid": process.uid,
        "user": process.user,
        "docker": process.container,
        "namespace": process.namespace,
        "pod": process.pod,
        "start_time": when(process.start_ns),
        "state": process.state,
    }
    if process.end_ns:
        fields |= {"end_time": when(process.end_ns), "status": process.status, "signal": process.signal}
    return {key: value for key, value in fields.items() if value not in ("", None)}
