# SPDX-License-Identifier: Apache-2.0
"""The agent's state as metrics. Pure; what a state does not tell gives no metric, for a zero would be a
claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.api.health import State, judge
from agent.log.times import parse_time
from agent.metrics.family import COUNTER, GAUGE, Family, by, rows, single

Told = Mapping[str, Any]


def families(state: Told) -> list[Family]:
    """All that the answer to `status` holds."""
    return [family for part in _PARTS for family in part(state)]


def _self(state: Told) -> Iterator[Family]:
    labels = ("version", "kernel", "node")
    values = tuple(str(state.get(name, "")) for name in ("version", "kernel", "node_name"))
    yield Family("build_info", GAUGE, "Version of the running agent; always 1.", labels, ((values, 1.0),))
    if "started" in state:
        started = parse_time(str(state["started"])) / 1e9
        yield single("start_time_seconds", GAUGE, "When the agent started, seconds since 1970.", started)
    found = judge(state).state
    values_of = {str(one): one is found for one in State}
    yield by("health", GAUGE, "1 for the state of health that the agent is in.", "state", values_of)


def _events(state: Told) -> Iterator[Family]:
    if "events" in state:
        help = "Events that were written to the log since the agent started."
        yield by("events_written", COUNTER, help, "type", state["events"])
    if "sent" in state:
        help = "Records that the base sensor's programs sent to the agent."
        yield by("kernel_records", COUNTER, help, "type", state["sent"])
    if "processes" in state:
        yield single("processes", GAUGE, "Living processes that the agent knows.", state["processes"])


def _losses(state: Told) -> Iterator[Family]:
    if "losses" in state:
        labels = ("cause", "lane", "hook")
        told = ((tuple(str(one[name]) for name in labels), float(one["count"])) for one in state["losses"])
        yield rows("lost", COUNTER, "Records that were lost, since the agent started.", labels, told)
    if "lost_recent" in state:
        yield by("lost_recent", GAUGE, "Records lost in the last minute.", "cause", state["lost_recent"])


def _overload(state: Told) -> Iterator[Family]:
    ring = state.get("ring") or {}
    for key, name, help in (
        ("bytes", "ring_bytes", "Size of the ring buffer in bytes."),
        ("fill", "ring_fill_ratio", "Part of the ring buffer that waits to be read, 0 to 1."),
        ("peak", "ring_fill_peak_ratio", "The fullest that the ring buffer was since the start, 0 to 1."),
    ):
        if key in ring:
            yield single(name, GAUGE, help, ring[key])
    if "shed_step" in state:
        yield single("shed_step", GAUGE, "Step of shedding: 0 none, 3 the last.", state["shed_step"])


def _programs(state: Told) -> Iterator[Family]:
    told = (
        ((str(one["name"]), str(one.get("kind", ""))), float(bool(one["attached"])))
        for one in state.get("programs") or ()
    )
    help = "Whether a program of the base sensor is attached."
    yield rows("program_attached", GAUGE, help, ("program", "kind"), told)


def _log(state: Told) -> Iterator[Family]:
    log = state.get("log") or {}
    if "state" in log:
        yield single("log_writable", GAUGE, "Whether the log can be written.", log["state"] == "ok")
    for key, name, kind, help in (
        ("bytes", "log_bytes", GAUGE, "Size of the log on disk, compacted segments included, in bytes."),
        ("last_sequence", "log_last_sequence", GAUGE, "Number of the last record of this boot."),
        ("queued_bytes", "log_queued_bytes", GAUGE, "Bytes that wait in memory for the disk."),
        (
            "dropped",
            "log_dropped",
            COUNTER,
            "Lines that were dropped because the disk refused them too long.",
        ),
    ):
        if key in log:
            yield single(name, kind, help, log[key])
    compaction = state.get("compaction") or {}
    if compaction:
        help = "Segments that were compacted since the agent started."
        yield single("compacted_segments", COUNTER, help, compaction["published"])
        yield single("compaction_working", GAUGE, "Whether the last run worked.", compaction["works"])


def _detections(state: Told) -> Iterator[Family]:
    told = state.get("detections") or {}
    if not told.get("wanted"):
        return
    for key, name, kind, help in (
        ("running", "detection_up", GAUGE, "Whether the process that evaluates rules runs."),
        ("rules", "detection_rules", GAUGE, "Rules that are evaluated."),
        ("refused", "detection_rules_refused", GAUGE, "Rules that cannot be used."),
        ("lag_seconds", "detection_lag_seconds", GAUGE, "How far rules are behind the log, in seconds."),
        ("evaluated", "detection_evaluated", COUNTER, "Events that rules have seen."),
        ("missed", "detection_missed", COUNTER, "Records that were removed before rules had seen them."),
    ):
        if key in told:
            yield single(name, kind, help, told[key])


def _watches(state: Told) -> Iterator[Family]:
    """Containers, and where their names come from (docs/containers.md)."""
    if "containers" in state:
        yield by("containers", GAUGE, "Containers by what is known of them.", "state", state["containers"])
    told = (state.get("identity") or {}).get("sources") or {}
    fresh = {source: one.get("state") == "fresh" for source, one in told.items() if one.get("state") != "off"}
    ages = {source: told[source]["age_seconds"] for source in fresh if "age_seconds" in told[source]}
    yield by("identity_fresh", GAUGE, "Whether a source of names answers.", "source", fresh)
    yield by("identity_age_seconds", GAUGE, "Since a source was heard last, in seconds.", "source", ages)


def _logs(state: Told) -> Iterator[Family]:
    logs = state.get("logs") or {}
    if "sources" in logs:
        help = "Lines of other programs' logs that were taken, since the process that follows them started."
        yield by("log_lines", COUNTER, help, "source", logs["sources"])
    if "missing" in logs:
        help = "Lines of other programs' logs that are missing, since the agent started."
        yield single("log_lines_missing", COUNTER, help, logs["missing"])


_PARTS: tuple[Callable[[Told], Iterator[Family]], ...] = (
    _self, _events, _losses, _overload, _programs, _log, _detections, _logs, _watches,
)  # fmt: skip
