# SPDX-License-Identifier: Apache-2.0
"""The agent's health, judged from its status. Pure; the command line judges with the same function.

A status is what the agent answers to `status` and writes to `status.json`. What is looked at is listed
at `judge`; a part that is absent is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

Status = Mapping[str, Any]

FULL_RING = 0.5
"""Ring fill from which losses are near, as a fraction."""


class State(StrEnum):
    """How well the agent sees, best first."""

    RUNNING = "running"
    """Everything is attached and nothing was lost lately."""
    DEGRADED = "degraded"
    """It sees, but not everything: something was lost, shed, or is not attached."""
    ERROR = "error"
    """It sees nothing, or keeps nothing of what it sees, or does not answer."""
    STOPPED = "stopped"
    """It is on its way out."""


class Health(NamedTuple):
    """A verdict and what led to it."""

    state: State
    """The worst of what was found."""
    reasons: list[str]
    """One short sentence each; empty when all is well."""

    @property
    def text(self) -> str:
        """`running`, or the state and the reasons."""
        return f"{self.state}: {'; '.join(self.reasons)}" if self.reasons else str(self.state)


SILENT = Health(State.ERROR, ["the agent does not answer"])
"""The verdict when there is no status."""

Finding = tuple[State, str]
Check = Callable[[Status], Iterator[Finding]]


def judge(status: Status) -> Health:
    """The worst finding of all checks.

    Looked at: `state` (`running`, `stopping`), `programs` (`[{"name", "attached"}]`), `lost_recent`
    (`{cause: count}`, the last minute's losses), `shed` (`{"step"}`), `log` (`{"error", "queued_bytes"}`),
    `ring_fill` (0 to 1), and `problems` (`[{"level": "degraded" | "error", "reason"}]`), by which any part
    of the agent can say what no other key tells.
    """
    findings = [finding for check in _CHECKS for finding in check(status)]
    order = list(State)
    worst = max((state for state, _ in findings), key=order.index, default=State.RUNNING)
    return Health(worst, [reason for _, reason in findings])


def _life(status: Status) -> Iterator[Finding]:
    if status.get("state") in ("stopping", "stopped"):
        yield State.STOPPED, "the agent is stopping"


def _programs(status: Status) -> Iterator[Finding]:
    programs = status.get("programs") or []
    absent = [program["name"] for program in programs if not program.get("attached", True)]
    if absent and len(absent) == len(programs):
        yield State.ERROR, "no program is attached"
    elif absent:
        yield State.DEGRADED, f"not attached: {', '.join(absent)}"


def _losses(status: Status) -> Iterator[Finding]:
    recent = {cause: count for cause, count in (status.get("lost_recent") or {}).items() if count}
    if recent:
        parts = ", ".join(f"{count} by {cause}" for cause, count in sorted(recent.items()))
        yield State.DEGRADED, f"events lost in the last minute: {parts}"


def _shedding(status: Status) -> Iterator[Finding]:
    step = (status.get("shed") or {}).get("step")
    if step and step != "none":
        yield State.DEGRADED, f"overload: shedding step {step}"
    fill = status.get("ring_fill") or 0.0
    if fill > FULL_RING:
        yield State.DEGRADED, f"the ring buffer is {fill:.0%} full"


def _log(status: Status) -> Iterator[Finding]:
    log = status.get("log") or {}
    if log.get("error"):
        yield State.ERROR, f"the log cannot be written: {log['error']}"
    elif log.get("queued_bytes"):
        yield State.DEGRADED, f"{log['queued_bytes']} bytes wait for the disk"


def _problems(status: Status) -> Iterator[Finding]:
    for problem in status.get("problems") or []:
        level = State.ERROR if problem.get("level") == "error" else State.DEGRADED
        yield level, str(problem.get("reason", "a problem without a reason"))


_CHECKS: tuple[Check, ...] = (_life, _programs, _losses, _shedding, _log, _problems)
