# SPDX-License-Identifier: Apache-2.0
"""What queries answer with: processes, trees, timelines, and how far an answer may be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Process:
    """One program in one process: an exec_id. A process that execs again goes on as another one."""

    exec_id: str
    pid: int
    """On the host; 0 when unknown."""
    parent_exec_id: str = ""
    """The parent, or the image that this one replaced; empty when unknown."""
    binary: str = ""
    """Empty when the log does not tell."""
    arguments: str = ""
    """As in `process.arguments`, without argv[0]."""
    cwd: str = ""
    uid: int | None = None
    user: str = ""
    container: str = ""
    namespace: str = ""
    pod: str = ""
    start_ns: int = 0
    """Wall-clock nanoseconds of the exec (of the fork for a process that never exec'd); 0 when unknown."""
    end_ns: int = 0
    """Wall-clock nanoseconds of the exit; 0 when it was not seen."""
    status: int = 0
    signal: str = ""
    replaces: bool = False
    """Whether it is a new image of its parent's process (exec without fork)."""
    replaced_ns: int = 0
    """When the next image of the process took over; 0 when none did."""
    recorded: bool = True
    """Whether its own exec or fork stands in the log; else it is known from others' records."""
    children: list[Process] = field(default_factory=list)
    """Oldest first."""

    @property
    def state(self) -> str:
        """`exited`, `replaced` (by a later image) or `running` as far as the log tells."""
        return "exited" if self.end_ns else "replaced" if self.replaced_ns else "running"


@dataclass(frozen=True, slots=True)
class Completeness:
    """What an answer covers, and what it may miss."""

    from_ns: int
    """Wall-clock nanoseconds of the oldest record that was there to be read."""
    to_ns: int
    """Of the newest one."""
    losses: Sequence[dict[str, Any]] = ()
    """Contents of the `loss` records (and restarts, removed segments) that fall into the answer's period."""
    gaps: Sequence[tuple[int, int]] = ()
    """Ranges of sequence numbers that are missing without an account, both ends included."""
    chain: dict[str, Any] = field(default_factory=dict)
    """What `log verify` says of the segments that were read; empty when it was not asked."""
    reboots: Sequence[int] = ()
    """Wall-clock nanoseconds at which the machine was booted within the period: nobody lived through it."""
    notes: Sequence[str] = ()
    """Sentences about how the answer was found: what was damaged, or read in a slower way."""


@dataclass(slots=True)
class Tree:
    """A process with its ancestors and descendants."""

    root: Process
    ancestors: list[Process]
    """Farthest first; of some only the exec_id may be known."""
    completeness: Completeness
    truncated: int = 0
    """Descendants that were left out because there are too many."""

    def walk(self) -> Iterator[tuple[int, Process, bool]]:
        """Root and descendants in the order of a tree: depth, process, whether it is its parent's last."""
        stack = [(0, self.root, True)]
        while stack:
            depth, process, last = stack.pop()
            yield depth, process, last
            below = process.children
            stack += [(depth + 1, child, child is below[-1]) for child in reversed(below)]


@dataclass(frozen=True, slots=True)
class Happening:
    """One row of a timeline."""

    time_ns: int
    sequence: int
    type: str
    """`process_exec`, `process_exit`, `process_kprobe`, `detection`, `loss` …"""
    exec_id: str
    summary: str
    """One line for people: `open /etc/shadow`, `connect 203.0.113.7:443/tcp`, `exit status 1`."""
    function: str = ""
    policy: str = ""
    action: str = ""
    path: str = ""
    address: str = ""
    """Peer's address and port, `203.0.113.7:443`; empty when it is no network event."""
    record: dict[str, Any] = field(default_factory=dict)
    """The whole record."""


@dataclass(slots=True)
class Timeline:
    """Everything that a subtree did, in order."""

    tree: Tree
    happenings: list[Happening]
    truncated: int = 0
    """Happenings that were left out because there are too many."""


@dataclass(slots=True)
class Executions:
    """Who ran a program."""

    processes: list[Process]
    """Oldest first; their `children` are empty."""
    completeness: Completeness
    truncated: int = 0
    """Processes that were left out because there are too many."""


@dataclass(slots=True)
class Connections:
    """Who talked to an address, or touched a file: one row per event, in order."""

    happenings: list[Happening]
    processes: dict[str, Process]
    """By exec_id, those of the rows."""
    completeness: Completeness
    truncated: int = 0
    """Rows that were left out because there are too many."""


@dataclass(slots=True)
class Table:
    """What an SQL query answers with."""

    columns: list[str]
    types: list[str]
    """DuckDB's names."""
    rows: list[tuple[Any, ...]]
    completeness: Completeness
    truncated: int = 0
    """Rows that were left out because there are too many."""
