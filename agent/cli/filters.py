# SPDX-License-Identifier: Apache-2.0
"""Which records a reader wants to see: types, binaries, pids, users, containers."""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.cli.render_own import KINDS, QUIET_KINDS, own_kind

Record = Mapping[str, Any]
Test = Callable[[Record, Record], bool]
"""Of a process and the `tracehound` part of its event."""

EVENT_TYPES = (
    "process_exec",
    "process_exit",
    "process_kprobe",
    "process_tracepoint",
    "process_uprobe",
    "process_lsm",
    "process_usdt",
    "process_loader",
    "process_throttle",
)
"""Event types by Tetragon's names; those of policies come with later versions of the agent."""
ALWAYS_TOLD = frozenset({"loss", "unclean_shutdown", "notice"})
"""Kinds that pass every filter but --type: they say that the answer may lack something."""


def add_filter_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `Filter.from_arguments` reads."""
    group = parser.add_argument_group(
        "which records", "Filters of one kind are alternatives; different kinds must all hold."
    )
    group.add_argument(
        "--type",
        action="append",
        type=parse_types,
        metavar="TYPE[,…]",
        help="exec, exit, …; loss, degraded, heartbeat, … (default: all but segment and heartbeat)",
    )
    group.add_argument("--binary", action="append", metavar="GLOB", help="path with *?[, or a part of it")
    group.add_argument("--pid", action="append", type=int, metavar="N", help="pid on the host")
    group.add_argument("--user", action="append", metavar="NAME|UID", help="user name or uid")
    group.add_argument("--container", action="append", metavar="ID", help="beginning of the id, or host")


def parse_types(text: str) -> list[str]:
    """`exec,loss` as names in the log. Raises argparse.ArgumentTypeError."""
    return [_type_name(word) for word in text.split(",") if word.strip()]


def _type_name(word: str) -> str:
    name = word.strip().lower()
    if name in KINDS:
        return name
    full = name if name.startswith("process_") else f"process_{name}"
    if full in EVENT_TYPES:
        return full
    known = [*(event.removeprefix("process_") for event in EVENT_TYPES), *KINDS]
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    raise argparse.ArgumentTypeError(f"unknown type {word!r}; {advice}")


class Filter:
    """Says of each record whether it is wanted."""

    def __init__(self, types: frozenset[str] | None, tests: Sequence[Test]) -> None:
        self.types = types
        """Names of types and kinds; None: all but the quiet kinds."""
        self._tests = tests

    @classmethod
    def from_arguments(cls, args: argparse.Namespace) -> Filter:
        """The filter that the options of `add_filter_arguments` ask for."""
        types = frozenset(name for names in args.type or () for name in names)
        tests: list[Test] = []
        if args.binary:
            tests.append(_binary_test(args.binary))
        if args.pid:
            tests.append(_pid_test(frozenset(args.pid)))
        if args.user:
            tests.append(_user_test(frozenset(args.user)))
        if args.container:
            tests.append(_container_test(tuple(args.container)))
        return cls(types or None, tests)

    def wants(self, record: Record) -> bool:
        """Whether the record passes. Own records have no process, so filters of processes leave them out,
        unless they tell of losses. A malformed record passes: it should be seen."""
        kind = next(iter(record), "")
        if not kind.startswith("process_"):
            return self._wants_own(own_kind(record))
        if self.types is not None and kind not in self.types:
            return False
        process, own = record[kind].get("process"), record.get("tracehound") or {}
        try:
            return all(test(process, own) for test in self._tests)
        except (KeyError, TypeError, AttributeError):
            return True

    def _wants_own(self, kind: str) -> bool:
        if self.types is not None:
            return kind in self.types
        return kind in ALWAYS_TOLD or (not self._tests and kind not in QUIET_KINDS)


def _binary_test(patterns: Sequence[str]) -> Test:
    """Globs must match the whole path, or its last part; other texts must be in the path."""
    globs = [fnmatch.translate(text) for text in patterns if re.search(r"[*?\[]", text)]
    parts = [text for text in patterns if not re.search(r"[*?\[]", text)]
    matches = re.compile("|".join(globs)).match if globs else None

    def test(process: Record, _own: Record) -> bool:
        path = process["binary"]
        if any(part in path for part in parts):
            return True
        return matches is not None and bool(matches(path) or matches(path.rpartition("/")[2]))

    return test


def _pid_test(pids: frozenset[int]) -> Test:
    return lambda process, _own: process["pid"] in pids


def _user_test(users: frozenset[str]) -> Test:
    """Names stand in execs only; the uids that they had there hold for other events of the host."""
    uids = {user for user in users if user.isdecimal()}

    def test(process: Record, own: Record) -> bool:
        uid = str(process.get("uid", 0))
        if own.get("user") in users:
            uids.add(uid)
            return True
        return uid in uids and (uid in users or "docker" not in process)

    return test


def _container_test(prefixes: tuple[str, ...]) -> Test:
    def test(process: Record, _own: Record) -> bool:
        container = process.get("docker")
        return container.startswith(prefixes) if container else "host" in prefixes

    return test
