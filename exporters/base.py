# SPDX-License-Identifier: Apache-2.0
"""What every exporter is made of: documents in, an answer out. docs/exporters.md says how they run.

The runner (`exporters.runner`) reads the log by cursor, filters, formats and batches; a destination
(one module per kind) only sends. A destination never sleeps to retry and never drops: it says what became of
a batch, and the runner decides. At least once: the cursor moves when a batch has been answered for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

MADE = frozenset({"notice", "suppressed", "test"})
"""Types of records that a runner makes itself. They have no number: `sequence` is that of the one before."""


class Document(NamedTuple):
    """One record of the log on its way to a destination."""

    record: dict[str, Any]
    """The parsed line after field selection; shared, so nobody changes it."""
    body: bytes
    """The record in the exporter's format: JSON without a newline, UTF-8 (CEF and the like: text)."""
    type: str
    """Key that names it: `process_exec`, `process_kprobe`, `loss`, `heartbeat`, `detection` …"""
    time_ns: int
    """Wall-clock nanoseconds of the record's `time`."""
    sequence: int
    """Its `tracehound.sequence`; with `boot_id` and `node_name` it is unique."""
    boot_id: str
    """Boot that the sequence belongs to; empty when no `segment` record was read before it."""
    node_name: str
    """Node on which it was written."""
    key: str
    """What belongs together goes to one partition: container id, else exec_id, else the node's name."""

    @property
    def uid(self) -> str:
        """Unique and the same in every attempt, so that receivers can drop what comes twice."""
        made = f"/{self.type}" if self.type in MADE else ""
        return f"{self.node_name}/{self.boot_id}/{self.sequence}{made}"


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch that reached its destination."""

    refused: Sequence[tuple[int, str]] = ()
    """(index, reason): never accepted as they are; they go to the dead-letter file."""
    again: Sequence[int] = ()
    """Indexes that have to be sent once more (a partial failure that will pass)."""
    after_s: float | None = None
    """With `again`: not before so many seconds; None leaves it to the runner's back-off."""


@dataclass(slots=True)
class TryAgain(Exception):
    """The whole batch was not accepted; the runner waits (back-off with jitter) and sends it again."""

    reason: str
    """For health and log: `HTTP 503: queue full`, `connection refused`. No secrets."""
    after_s: float | None = None
    """What the destination asked for (`Retry-After`), in seconds."""
    smaller: bool = False
    """The batch was too large (413): the runner halves it; a single document that is too large is refused."""
    needs_operator: bool = False
    """It will not pass by itself (401, bad certificate): tried again at the longest interval."""


class Destination(Protocol):
    """One connection to one receiver. Made anew by the runner after an unexpected exception."""

    def send(self, batch: Sequence[Document]) -> Sent:
        """Deliver a batch and wait for the receiver's word. Raises TryAgain."""

    def close(self) -> None:
        """Let go; never raises."""


@dataclass(frozen=True, slots=True)
class Taken:
    """How far a destination has taken the log over."""

    cursor: str
    """Place in the log (`agent.log.entry.Cursor`) before which everything is there; empty: nothing yet."""
    events: int = 0
    """Lines that this call brought over, own records included."""
    more: bool = False
    """Whether there is more to bring over now; else the runner calls again after `BATCHING.seconds`."""


class SegmentDestination(Protocol):
    """A destination that takes files of the log directory over as they are, instead of documents.

    Its module has `open_segments(context, log_dir) -> SegmentDestination` instead of `open`. Filters, formats
    and rates do not apply; it keeps what it needs to go on below `Context.state_dir`.
    """

    def take(self) -> Taken:
        """Bring over one step, at most one file, and wait for the receiver's word. Raises TryAgain."""

    def close(self) -> None:
        """Let go; never raises."""


@dataclass(frozen=True, slots=True)
class Batching:
    """How documents are gathered; a destination's module gives defaults that suit it (`BATCHING`)."""

    events: int = 1000
    """Most documents in a batch."""
    bytes: int = 4 << 20
    """Most bytes of bodies in a batch; a larger single document travels alone."""
    seconds: float = 1.0
    """A batch that is not full goes after so long."""
    format: str = "json"
    """Format where the configuration names none: `json`, `ocsf`, `ecs` …"""
    needs_record: bool = True
    """Whether `send` looks at `Document.record` or `key`. Where it does not, and neither do filter and
    format, lines are not parsed: `record` is then empty and `key` the node's name."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a destination gets besides its own options."""

    name: str
    """Name of the exporter instance."""
    version: str
    """Version of tracehound, for user agents and resource attributes."""
    state_dir: str
    """Directory for what it keeps between runs; made by the runner, mode 0700."""
    options: dict[str, Any] = field(default_factory=dict)
    """Keys of its configuration that are the destination's own; checked by its `OPTIONS`."""
    host_id: str = ""
    """Machine id of the host that writes the log (machine-id(5)); empty when the log does not tell."""


class ExporterUnavailable(Exception):
    """The client library of a destination is not installed; the message is the command that installs it."""


class OptionError(ValueError):
    """An option of a destination is wrong: `OptionError("url", "is no URL: 'x'", "give https://host:port")`."""

    def __init__(self, key: str, problem: str, hint: str = "") -> None:
        super().__init__(f"{key}: {problem}" + (f" ({hint})" if hint else ""))
        self.key, self.problem, self.hint = key, problem, hint
