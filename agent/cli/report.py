# SPDX-License-Identifier: Apache-2.0
"""`tracehound report`: an incident as one HTML file, for the ticket."""

from __future__ import annotations

import argparse
import os
import pwd
import shlex
import socket
import stat
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from agent import __version__
from agent.cli.arguments import above_zero, add_place_arguments, as_logged, log_dir_from, pid
from agent.cli.incident import Incident, Wanted, gather, proof
from agent.cli.text import clean
from agent.cli.when import HELP as WHEN_HELP
from agent.cli.when import METAVAR, parse_when
from agent.errors import UsageError
from agent.store.report.facts import Facts
from agent.store.report.hiding import without_arguments
from agent.store.report.page import render

HELP = """\
An incident as one HTML file: the tree of processes, the timeline, every event with its record, what was
opened and connected to, and what the report may lack. The file needs no network and no other file. Making it
needs no running agent."""
EXAMPLES = """\
examples:
  tracehound report --pid 4711 -o incident.html               the newest process with this pid
  tracehound report --pid 4711 --at 03:12 -o incident.html    the one that had it then
  tracehound report --exec-id bjE6MTIzNDU2Nzg5OjQ3MTE= --since 2h -o incident.html
  tracehound report --pod shop/cart-7c9d --since 03:00 --until 04:00 -o incident.html
  tracehound report --address 203.0.113.7 --since 1d -o incident.html
  tracehound report --pid 1 --since 03:00 --until 04:00 -o hour.html   all of the machine
  tracehound report --pid 4711 --title INC-2087 --hide-arguments -o - | gzip > incident.html.gz
"""

MOST = 20_000
"""Events in a report unless --limit says otherwise: 4 to 8 MB, which tickets and mail still take."""
MODE = 0o600
"""A report holds command lines and paths of others."""
HIDDEN_WORDS = "arguments, environment variables, texts and buffers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """All options."""
    add_selectors(parser)
    parser.add_argument("--at", type=parse_when, metavar=METAVAR, help=f"with --pid: alive then; {WHEN_HELP}")
    parser.add_argument("--since", type=parse_when, metavar=METAVAR, help="nothing older")
    parser.add_argument("--until", type=parse_when, metavar=METAVAR, help="nothing newer")
    parser.add_argument(
        "-o",
        "--output",
        dest="page",  # `output` would be taken for the setting of that name
        required=True,
        metavar="FILE",
        help="the file to write, mode 0600; - is standard output",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE when it is there")
    parser.add_argument(
        "--title", default="", metavar="TEXT", help="a name for the head, such as the ticket's"
    )
    parser.add_argument(
        "--hide-arguments", action="store_true", help=f"leave out {HIDDEN_WORDS}, beyond what the log redacts"
    )
    parser.add_argument(
        "--limit",
        type=above_zero,
        default=MOST,
        metavar="N",
        help=f"the newest so many events, and about as many processes (default: {MOST})",
    )
    parser.add_argument(
        "--no-verify",
        action="store_true",
        help="skip the proof of the log's chain, which reads every segment",
    )
    add_place_arguments(parser)


def add_selectors(parser: argparse.ArgumentParser) -> None:
    """What the report is about; exactly one."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--exec-id", type=as_logged, metavar="ID", help="exactly this process and image")
    group.add_argument("--pid", type=pid, metavar="N", help="pid on the host; the newest process that had it")
    group.add_argument("--pod", type=_pod, metavar="NS/NAME", help="all processes of a pod")
    group.add_argument(
        "--container", type=as_logged, metavar="ID", help="all of a container; 8 characters do"
    )
    group.add_argument("--file", type=as_logged, metavar="PATH", help="all that ran or touched this file")
    group.add_argument("--address", type=as_logged, metavar="IP", help="all that talked to this address")


def _pod(text: str) -> str:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name):
        raise argparse.ArgumentTypeError(f"{text!r} is no pod; write NAMESPACE/NAME")
    return text


def run(args: argparse.Namespace) -> int:
    """Write the report and return 0. Raises UsageError before the log is read where FILE cannot be."""
    refuse_place(args.page, args.force)
    _check_period(args)
    directory = log_dir_from(args)
    chain = None if args.no_verify else proof(directory, args.since)
    found = gather(directory, _wanted(args), args.limit, chain)
    timeline = without_arguments(found.timeline) if args.hide_arguments else found.timeline
    page = render(timeline, _facts(args, found)).encode()
    if args.page == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(page)
        return 0
    write_privately(Path(args.page), page, args.force)
    count = sum(1 for _, process, _ in timeline.tree.walk() if process.exec_id)
    events = len(timeline.happenings)
    print(f"{clean(args.page)}: {count:,} processes, {events:,} events, {len(page) / 1024:,.0f} KiB")
    if timeline.truncated or timeline.tree.truncated:
        gone = f"{timeline.truncated:,} older events and {timeline.tree.truncated:,} processes"
        print(f"left out: {gone}; the head of the report says how to get them")
    return 0


def _wanted(args: argparse.Namespace) -> Wanted:
    return Wanted(
        exec_id=args.exec_id or "",
        pid=args.pid,
        pod=args.pod or "",
        container=args.container or "",
        path=args.file or "",
        address=args.address or "",
        at_ns=args.at,
        since_ns=args.since,
        until_ns=args.until,
    )


def _check_period(args: argparse.Namespace) -> None:
    if args.at is not None and args.pid is None:
        raise UsageError("--at goes with --pid", "an exec_id stands for one process at all times")
    if args.since is not None and args.until is not None and args.since > args.until:
        raise UsageError("--since is later than --until", "exchange the two")


def _facts(args: argparse.Namespace, found: Incident) -> Facts:
    return Facts(
        version=__version__,
        made_ns=time.time_ns(),
        made_by=f"{_user()}@{socket.gethostname()}",
        node=found.node,
        kernel=found.kernel,
        question=question(args),
        title=args.title,
        since_ns=args.since,
        until_ns=args.until,
        hidden=HIDDEN_WORDS if args.hide_arguments else "",
    )


def _user() -> str:
    """Who made it: behind sudo, the one who called it."""
    called_by = os.environ.get("SUDO_USER")
    if called_by and os.geteuid() == 0:
        return called_by
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def question(args: argparse.Namespace) -> str:
    """What was asked, in words that mean the same later: times with their zone."""
    words = ["tracehound", "report"]
    for option in ("exec_id", "pid", "pod", "container", "file", "address"):
        if getattr(args, option):
            words += [f"--{option.replace('_', '-')}", str(getattr(args, option))]
    for option in ("at", "since", "until"):
        moment = getattr(args, option)
        if moment is not None:
            words += [f"--{option}", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment // 10**9))]
    return shlex.join(words)


def refuse_place(output: str, force: bool) -> None:
    """Raise UsageError when the file may not be written there."""
    if output == "-":
        return
    path = Path(output)
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UsageError(f"{path.parent} is no directory", "make it, or choose another place") from None
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{output} is no ordinary file", "name a file; `-o -` writes to standard output")
    if not force:
        raise UsageError(f"{output} is there already", "choose another name, or --force to replace it")


def write_privately(path: Path, content: bytes, force: bool) -> None:
    """The whole file or none, mode 0600. Without `force`, one that came up meanwhile is left alone."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, MODE)
            file.write(content)
            file.flush()
            os.fsync(fd)
        _publish(temporary, path, force)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _publish(temporary: Path, path: Path, force: bool) -> None:
    if not force:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE))
        except FileExistsError:
            refuse_place(str(path), force)
            raise
    temporary.replace(path)
