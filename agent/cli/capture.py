# SPDX-License-Identifier: Apache-2.0
"""`tracehound capture`: a part of the log as a file that stands alone."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from agent.cli.arguments import above_zero, add_place_arguments, as_logged, log_dir_from, pid
from agent.cli.asking import add_period_arguments, period_of, targets_of
from agent.cli.progress import Progress
from agent.cli.text import clean
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, parse_when
from agent.detect.capture import MOST, capture, without_arguments
from agent.errors import LogUnavailable, UsageError
from agent.store.picking import Period
from agent.store.queries import Store, tree
from agent.store.records import Problems

HELP = """\
What processes did, or everything in a period, as JSON lines that stand alone: with the execs of all ancestors
before it. Secrets are redacted as in the log. It is what `tracehound replay` and samples of rules read."""
EXAMPLES = """\
examples:
  tracehound capture --pid 4711 -o incident.jsonl           a process and its descendants
  tracehound capture --pod shop/cart-7c9d --since 10m -o incident.jsonl
  tracehound capture --since 03:10 --until 03:12 -o two-minutes.jsonl
  tracehound capture --exec-id bjE6MTIzNDU2Nzg5OjQ3MTE= --hide-arguments -o - | gzip > for-others.jsonl.gz
  tracehound replay --rules my-rule.yaml incident.jsonl
"""
MODE = 0o600
"""A capture holds command lines and paths of others."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--pid", type=pid, metavar="N", help="the newest process with this pid")
    target.add_argument("--exec-id", type=as_logged, metavar="ID", help="exactly this process and image")
    target.add_argument("--pod", type=as_logged, metavar="NS/NAME", help="the processes of a pod")
    target.add_argument("--container", type=as_logged, metavar="ID", help="the processes of a container")
    target.add_argument("--file", type=as_logged, metavar="PATH", help="whoever ran or touched this file")
    target.add_argument("--address", type=as_logged, metavar="IP", help="whoever talked to this peer")
    parser.add_argument("--at", type=parse_when, metavar=METAVAR, help=f"with --pid: alive then; {WHEN_HELP}")
    add_period_arguments(parser)
    parser.add_argument(
        "-o", "--output", dest="target", required=True, metavar="FILE", help="- for standard output"
    )
    parser.add_argument(
        "--hide-arguments", action="store_true", help="leave out all arguments, texts and buffers"
    )
    parser.add_argument(
        "--limit", type=above_zero, default=MOST, metavar="N", help=f"at most N events (default {MOST:,})"
    )
    add_place_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Write the file and return 0, 1 when there is nothing to write."""
    log_dir, problems = log_dir_from(args), Problems()
    bar = Progress("reading", 1)
    try:
        ids = _processes(args, log_dir)
        period = Period(*period_of(args))
        records, is_cut = capture(log_dir, ids, period, problems, most=args.limit, watch=bar.at)
    except OSError as error:
        raise LogUnavailable(f"cannot read the log in {log_dir}: {error.strerror}") from error
    finally:
        bar.close()
    if args.hide_arguments:
        records = [without_arguments(record) for record in records]
    if records:
        _write(args.target, records)
    for text in dict.fromkeys(problems):
        print(f"! {clean(text)}", file=sys.stderr)
    if is_cut:
        print(f"! only the first {args.limit:,} events; --limit takes more", file=sys.stderr)
    print(f"{len(records):,} records", file=sys.stderr)
    return 0 if records else 1


def _processes(args: argparse.Namespace, log_dir: Path) -> set[str] | None:
    """exec_ids of what was asked for and of all descendants; None: everybody."""
    if not (args.pid or args.exec_id or args.pod or args.container or args.file or args.address):
        if args.since is None and args.until is None:
            raise UsageError("nothing to capture", "name a process, or a period with --since")
        return None
    store = Store(log_dir)
    found = targets_of(args, store)
    return {process.exec_id for one in found for _, process, _ in tree(store, one).walk()}


def _write(target: str, records: Iterable[dict[str, Any]]) -> None:
    if target == "-":
        _write_to(sys.stdout, records)
        return
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
    with open(fd, "w", encoding="utf-8") as file:
        _write_to(file, records)


def _write_to(file: IO[str], records: Iterable[dict[str, Any]]) -> None:
    for record in records:
        file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")
