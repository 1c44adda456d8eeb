# SPDX-License-Identifier: Apache-2.0
"""What `agent.log.verify` finds, and what it carries from one segment to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agent.log.examine import Fault
from agent.log.manifest import Closed

Rebuild = Callable[[Path], Iterable[bytes]]
"""Gives the lines of a Parquet file with their newlines; raises ValueError when it is damaged."""


@dataclass(slots=True)
class Verdict:
    """What was found."""

    faults: list[Fault] = field(default_factory=list)
    """In the order of the log, those of the manifest first; of each file the first one. Empty: intact."""
    notes: list[str] = field(default_factory=list)
    """What is no fault and limits what was proved."""
    lines: int = 0
    bytes: int = 0
    """Lines and bytes of segments that were looked at."""
    counts: dict[str, int] = field(default_factory=dict)
    """Segments by what was found: `chained`, `compacted`, `expired`, `open`, `not_chained` (written by an
    older version), `skipped`, `broken`."""
    manifest_lines: int = 0
    manifest_head: str = ""
    """The chain's head now; a heartbeat holds the one of its time."""
    last_closed: Closed | None = None
    head_found: str = ""
    """Where the head that was asked for stands, in words; empty when none was, or when it is not there."""

    def fault(self, file: str, line: int, sequence: int, problem: str) -> None:
        """Notes one; the arguments are those of Fault."""
        self.faults.append(Fault(file, line, sequence, problem))

    def count(self, what: str) -> None:
        """One more segment of this kind."""
        self.counts[what] = self.counts.get(what, 0) + 1


@dataclass(slots=True)
class Link:
    """A segment as the next one has to go on from it."""

    name: str
    sha256: str = ""
    """Of its lines; empty when it is not known."""
    last_sequence: int | None = None
    """None when it is not known."""
    boot_id: str = ""
