# SPDX-License-Identifier: Apache-2.0
"""Is the agent alive, and is it ready? Judged from its state. Pure.

Dead is what a restart may mend: an agent that says nothing any more, or sees nothing. Not ready is what
should stop a rollout: it does not see everything yet, or keeps nothing of it. What was lost or is late is
told, and neither: who restarts an agent under load loses more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

Told = Mapping[str, Any]

SILENT_S = 10.0
"""An agent whose state is older than this is not ready, in seconds; it writes it every second."""
DEAD_S = 60.0
"""And dead when it is older than this. Loading many policies on a busy machine takes a while."""
FULL_RING = 0.9
"""Ring fill from which losses are certain, as a fraction."""
LATE_S = 60.0
"""How far rules may be behind the log, in seconds."""


class Grade(IntEnum):
    """How bad a finding is."""

    OK = 0
    WARNING = 1
    """Told, and nothing else."""
    NOT_READY = 2
    DEAD = 3


class Finding(NamedTuple):
    """One check's result."""

    name: str
    grade: Grade
    text: str


def examine(state: Told | None, age_s: float) -> list[Finding]:
    """All checks; `state` is None when there is none, `age_s` is how old it is, in seconds."""
    first = _agent(state, age_s)
    if state is None or first.grade is Grade.DEAD:
        return [first]
    return [first, *(check(state) for check in _CHECKS)]


def is_alive(findings: list[Finding]) -> bool:
    """Whether it should go on running."""
    return all(one.grade < Grade.DEAD for one in findings)


def is_ready(findings: list[Finding]) -> bool:
    """Whether it does its work."""
    return all(one.grade < Grade.NOT_READY for one in findings)


def lines(findings: list[Finding]) -> Iterator[str]:
    """For people, worst first."""
    signs = {Grade.OK: "+", Grade.WARNING: "!", Grade.NOT_READY: "-", Grade.DEAD: "-"}
    for one in sorted(findings, key=lambda one: -one.grade):
        yield f"[{signs[one.grade]}] {one.name}: {one.text}"


def _agent(state: Told | None, age_s: float) -> Finding:
    if state is None:
        return Finding("agent", Grade.DEAD, "it does not tell its state")
    if age_s > DEAD_S:
        return Finding("agent", Grade.DEAD, f"no news for {age_s:.0f} s")
    if age_s > SILENT_S:
        return Finding("agent", Grade.NOT_READY, f"no news for {age_s:.0f} s")
    if state.get("state") != "running":
        return Finding("agent", Grade.NOT_READY, f"it is {state.get('state', 'in an unknown state')}")
    return Finding("agent", Grade.OK, "running")


def _sensors(state: Told) -> Finding:
    programs = state.get("programs") or []
    absent = [str(one["name"]) for one in programs if not one["attached"]]
    if len(absent) == len(programs):
        return Finding("sensors", Grade.DEAD, "no program is attached")
    if absent:
        return Finding("sensors", Grade.NOT_READY, f"not attached: {', '.join(absent)}")
    return Finding("sensors", Grade.OK, f"{len(programs)} programs attached")


def _log(state: Told) -> Finding:
    log = state.get("log") or {}
    if log.get("state", "ok") != "ok":
        reason = log.get("error") or log["state"]
        return Finding("log", Grade.NOT_READY, f"it cannot be written: {reason}")
    return Finding("log", Grade.OK, "written")


def _ring(state: Told) -> Finding:
    fill = (state.get("ring") or {}).get("fill") or 0.0
    step = state.get("shed_step") or 0
    if fill > FULL_RING:
        return Finding("ring", Grade.NOT_READY, f"{fill:.0%} full")
    if step:
        return Finding("ring", Grade.WARNING, f"{fill:.0%} full, shedding step {step}")
    return Finding("ring", Grade.OK, f"{fill:.0%} full")


def _losses(state: Told) -> Finding:
    recent = {cause: count for cause, count in (state.get("lost_recent") or {}).items() if count}
    if recent:
        text = ", ".join(f"{count} by {cause}" for cause, count in sorted(recent.items()))
        return Finding("losses", Grade.WARNING, f"in the last minute {text}")
    return Finding("losses", Grade.OK, "none in the last minute")


def _policies(state: Told) -> Finding:
    told = state.get("policies") or {}
    failed = told.get("failed") or 0
    text = f"{told.get('enabled') or 0} enabled, {failed} failed"
    return Finding("policies", Grade.WARNING if failed else Grade.OK, text)


def _detections(state: Told) -> Finding:
    told = state.get("detections") or {}
    if not told.get("wanted"):
        return Finding("detections", Grade.OK, "none wanted")
    lag_s = float(told.get("lag_seconds") or 0.0)
    if not told.get("running"):
        return Finding("detections", Grade.NOT_READY, "rules are not evaluated")
    if lag_s > LATE_S:
        return Finding("detections", Grade.WARNING, f"rules are {lag_s:.0f} s behind the log")
    return Finding("detections", Grade.OK, f"{told.get('rules', 0)} rules")


def _exporters(state: Told) -> Finding:
    told = state.get("exporters") or []
    ill = [str(one["name"]) for one in told if not one["running"] or one.get("state") == "blocked"]
    if ill:
        return Finding("exporters", Grade.WARNING, f"do not work: {', '.join(ill)}")
    return Finding("exporters", Grade.OK, f"{len(told)} run")


def _watch(state: Told) -> Finding:
    """The Kubernetes API, where it is asked at all (`identity.sources`, docs/containers.md)."""
    told = ((state.get("identity") or {}).get("sources") or {}).get("kubernetes") or {}
    if told.get("state") == "stale":
        return Finding(
            "kubernetes", Grade.NOT_READY, str(told.get("error") or "the API server does not answer")
        )
    return Finding("kubernetes", Grade.OK, str(told.get("state") or "off"))


_CHECKS: tuple[Callable[[Told], Finding], ...] = (
    _sensors, _log, _ring, _losses, _policies, _detections, _exporters, _watch,
)  # fmt: skip
