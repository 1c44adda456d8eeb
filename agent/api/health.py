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
    """The worst of the agent's own word and of what its figures say.

    Its own word is `health`: `{"state": "ok" | "degraded" | "failed", "reasons": […]}`; the reasons are
    taken from there when it gives any. Checked are `state` (`running`, `stopping`), `programs`
    (`[{"name", "attached"}]`), `lost_recent` (`{cause: count}`, the last minute's losses), `shed_step`
    (0: none), `ring` (`{"fill": 0 to 1}`) and `log` (`{"state": "ok" | …, "error", "queued_bytes"}`).
    """
    word = _own_word(status)
    findings = [finding for check in _CHECKS for finding in check(status)]
    worst = max([word.state, *(state for state, _ in findings)], key=list(State).index)
    return Health(worst, word.reasons or [reason for _, reason in findings])


def _own_word(status: Status) -> Health:
    told = status.get("health", {"state": State.OK})
    state = told.get("state")
    known = State(state) if state in list(State) else State.FAILED
    return Health(known, [str(reason) for reason in told.get("reasons") or []])


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
    """A log that cannot be written is a failure once events are lost for it; until then they wait."""
    log = status.get("log") or {}
    if log.get("state", "ok") != "ok":
        lost = (status.get("lost_recent") or {}).get("queue_full")
        cause = log.get("error") or log["state"]
        yield State.FAILED if lost else State.DEGRADED, f"the log cannot be written: {cause}"
    elif log.get("queued_bytes"):
        yield State.DEGRADED, f"{log['queued_bytes']} bytes wait for the disk"


_CHECKS: tuple[Check, ...] = (_life, _programs, _losses, _overload, _log)
