# SPDX-License-Identifier: Apache-2.0
"""The agent's health, judged from its status. Pure: the agent, too, can find its own word with `judge`.

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

    OK = "ok"
    """Everything is attached and nothing was lost lately."""
    DEGRADED = "degraded"
    """It sees, but not everything: something was lost, shed, or is not attached."""
    FAILED = "failed"
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
        """`running` when all is well, as upstream words it; else the state and the reasons."""
        if self.state is State.OK:
            return "running"
        return f"{self.state}: {'; '.join(self.reasons) or 'no reason given'}"


SILENT = Health(State.FAILED, ["the agent does not answer"])
"""The verdict when there is no status."""

Finding = tuple[State, str]
Check = Callable[[Status], Iterator[Finding]]


def judge(status: Status) -> Health:
    """The agent's own word (`health`: `{"state": "ok" | "degraded" | "failed", "reasons": […]}`), or
    without one the worst finding of all checks.

    Checked: `state` (`running`, `stopping`), `programs` (`[{"name", "attached"}]`), `lost_recent`
    (`{cause: count}`, the last minute's losses), `shed_step` (0: none), `ring` (`{"fill": 0 to 1}`) and
    `log` (`{"state": "ok" | …, "error", "queued_bytes"}`).
    """
    findings = list(_own_word(status)) if "health" in status else []
    for check in _CHECKS if "health" not in status else (_life,):
        findings += check(status)
    order = list(State)
    worst = max((state for state, _ in findings), key=order.index, default=State.OK)
    return Health(worst, [reason for _, reason in findings if reason])


def _own_word(status: Status) -> Iterator[Finding]:
    word = status["health"].get("state")
    state = State(word) if word in list(State) else State.FAILED
    yield state, ""
    for reason in status["health"].get("reasons") or []:
        yield state, str(reason)


def _life(status: Status) -> Iterator[Finding]:
    if status.get("state") in ("stopping", "stopped"):
        yield State.STOPPED, "the agent is stopping"


def _programs(status: Status) -> Iterator[Finding]:
    programs = status.get("programs") or []
    absent = [program["name"] for program in programs if not program.get("attached", True)]
    if absent and len(absent) == len(programs):
        yield State.FAILED, "no program is attached"
    elif absent:
        yield State.DEGRADED, f"not attached: {', '.join(absent)}"


def _losses(status: Status) -> Iterator[Finding]:
    recent = {cause: count for cause, count in (status.get("lost_recent") or {}).items() if count}
    if recent:
        parts = ", ".join(f"{count} by {cause}" for cause, count in sorted(recent.items()))
        yield State.DEGRADED, f"events lost in the last minute: {parts}"


def _overload(status: Status) -> Iterator[Finding]:
    if status.get("shed_step"):
        yield State.DEGRADED, f"overload: shedding step {status['shed_step']}"
    fill = (status.get("ring") or {}).get("fill") or 0.0
    if fill > FULL_RING:
        yield State.DEGRADED, f"the ring buffer is {fill:.0%} full"


def _log(status: Status) -> Iterator[Finding]:
    log = status.get("log") or {}
    if log.get("state", "ok") != "ok":
        yield State.FAILED, f"the log cannot be written: {log.get('error') or log['state']}"
    elif log.get("queued_bytes"):
        yield State.DEGRADED, f"{log['queued_bytes']} bytes wait for the disk"


_CHECKS: tuple[Check, ...] = (_life, _programs, _losses, _overload, _log)
