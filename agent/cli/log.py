# SPDX-License-Identifier: Apache-2.0
"""`tracehound log`: the files of the event log, and the proof that they are as they were written."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.arguments import add_output_argument, add_place_arguments, log_dir_from
from agent.cli.clock import Clock
from agent.cli.progress import Progress
from agent.cli.text import clean
from agent.cli.when import HELP as TIME_HELP
from agent.cli.when import METAVAR, parse_when
from agent.configuration.units import human_size
from agent.errors import LogUnavailable
from agent.log.inventory import Item, inventory
from agent.log.reader import LogReader
from agent.log.times import MILLISECOND_NS, format_time
from agent.log.verdict import Rebuild, Verdict
from agent.log.verify import verify

if TYPE_CHECKING:
    from agent.log.examine import Fault

HELP = "List the segments of the event log, or prove that nothing in it was cut, changed or reordered."
EXAMPLES = """\
examples:
  tracehound log list                      segments, their times, numbers, sizes and hashes
  tracehound log list --all -o json        those that retention removed as well
  tracehound log verify                    exit status 0: intact; 1: not, and what is wrong first
  tracehound log verify --since 2d         reads only what may hold records of the last two days
  tracehound log verify --deep             also makes the lines of compacted segments again (slower)
  tracehound log verify --head 5a41...     and the log is the one that this heartbeat came from
  tracehound log verify --log-dir /mnt/evidence/log

A heartbeat record holds the head of its time in `chain.manifest` and `chain.sha256`: what a SIEM has received
cannot be changed on this machine any more. docs/event-log.md says what is proved and what is not.
"""

BROKEN = 1
"""Exit status of `verify` when something is not as it was written."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two sub-commands."""
    commands = parser.add_subparsers(dest="what", metavar="list|verify", required=True)
    lister = commands.add_parser("list", help="segments, compacted ones included")
    lister.add_argument("--all", action="store_true", help="also those that retention removed")
    verifier = commands.add_parser("verify", help="prove that the log is as it was written")
    verifier.add_argument("--head", metavar="SHA256", type=_hash, help="a head that a SIEM has kept")
    verifier.add_argument("--since", metavar=METAVAR, type=parse_when, help=TIME_HELP)
    verifier.add_argument(
        "--deep", action="store_true", help="rebuild the lines of compacted segments (needs the store extra)"
    )
    for command in (lister, verifier):
        add_place_arguments(command)
        add_output_argument(command, "text", "json")


def run(args: argparse.Namespace) -> int:
    """The exit status: of `verify` 0 or 1. Raises LogUnavailable when the log cannot be read."""
    directory = log_dir_from(args)
    return _list(directory, args) if args.what == "list" else _verify(directory, args)


# list


def _list(directory: Path, args: argparse.Namespace) -> int:
    items = [item for item in _inventory(directory) if args.all or item.form != "expired"]
    if args.format == "json":
        print(json.dumps([_as_json(item) for item in items], indent=2))
        return 0
    if not items:
        print(f"no segments in {clean(str(directory))}")
        return 0
    clock = Clock()
    print(f"{'segment':33} {'form':8} {'from':18} {'to':18} {'records':>21} {'size':>10}  sha256")
    for item in items:
        print(_row(item, clock))
    print(f"{len(items)} segments, {human_size(sum(item.bytes for item in items))}")
    return 0


def _inventory(directory: Path) -> list[Item]:
    LogReader(directory).tail()  # raises LogUnavailable with the way out
    try:
        return inventory(directory)
    except OSError as error:
        raise LogUnavailable(
            f"cannot read {error.filename or directory}: {error.strerror}",
            "run as root or as a member of the log's group",
        ) from error


def _row(item: Item, clock: Clock) -> str:
    start = clock(_time(item.from_ms))
    end = clock(_time(item.to_ms)) if item.to_ms else ""
    numbers = f"{item.first_sequence}-{item.last_sequence or '?'}"
    size = human_size(item.bytes) if item.bytes else "-"
    return f"{item.segment:33} {item.form:8} {start:18} {end:18} {numbers:>21} {size:>10}  {item.sha256[:16]}"


def _as_json(item: Item) -> dict[str, object]:
    content = item._asdict()
    start, end = content.pop("from_ms"), content.pop("to_ms")
    return content | {"from": _time(start), "to": _time(end) if end else None}


def _time(milliseconds: int) -> str:
    return format_time(milliseconds * MILLISECOND_NS)


# verify


def _verify(directory: Path, args: argparse.Namespace) -> int:
    total = sum(item.bytes for item in _inventory(directory))
    progress = Progress("verifying", total)
    try:
        verdict = verify(
            directory,
            head=args.head or "",
            since_ns=args.since,
            rebuild=_rebuild() if args.deep else None,
            progress=progress,
        )
    finally:
        progress.close()
    if args.format == "json":
        print(json.dumps(_verdict_json(verdict), indent=2))
    else:
        _print(verdict)
    return BROKEN if verdict.faults else 0


def _rebuild() -> Rebuild:
    from agent.store.rebuild import lines

    return lines


def _print(verdict: Verdict) -> None:
    for fault in verdict.faults:
        print(f"BROKEN  {clean(_fault_text(fault))}")
    for note in verdict.notes:
        print(f"note    {clean(note)}")
    counts = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in verdict.counts.items())
    print(f"{'broken' if verdict.faults else 'intact'}: {counts or 'no segments'}")
    print(f"  read      {verdict.lines:,} records, {human_size(verdict.bytes)}")
    print(f"  manifest  {verdict.manifest_lines} lines, head {verdict.manifest_head or 'none yet'}")
    if verdict.last_closed is not None:
        closed = verdict.last_closed
        print(f"  closed    {clean(closed.segment)} up to record {closed.last_sequence}, {closed.sha256}")
    if verdict.head_found:
        print(f"  asked     the head is {clean(verdict.head_found)}")


def _fault_text(fault: Fault) -> str:
    lines = f", lines {fault.line} to {fault.to_line}" if fault.to_line else f", line {fault.line}"
    place = lines if fault.line else ""
    record = f", record {fault.sequence}" if fault.sequence else ""
    return f"{fault.file}{place}{record}{' and after' if fault.to_line else ''}: {fault.problem}"


def _verdict_json(verdict: Verdict) -> dict[str, object]:
    closed = verdict.last_closed
    return {
        "intact": not verdict.faults,
        "faults": [fault._asdict() for fault in verdict.faults],
        "notes": verdict.notes,
        "segments": verdict.counts,
        "records": verdict.lines,
        "bytes": verdict.bytes,
        "manifest": {"lines": verdict.manifest_lines, "head": verdict.manifest_head},
        "last_closed": closed._asdict() if closed else None,
        "head_found": verdict.head_found or None,
    }


def _hash(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256: 64 hexadecimal digits")
    return text.lower()
