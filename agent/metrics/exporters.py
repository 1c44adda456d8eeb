# SPDX-License-Identifier: Apache-2.0
"""Exporters as metrics: what each tells of itself (`STATE_DIR/NAME/state.json`), as the agent's status has
it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.metrics.family import COUNTER, GAUGE, Family, rows

_FIGURES = (
    ("running", "exporter_up", GAUGE, "Whether the exporter's process runs."),
    ("lag_events", "exporter_lag_records", GAUGE, "Records of the log that it has not read."),
    ("lag_seconds", "exporter_lag_seconds", GAUGE, "How far it is behind, in seconds."),
    ("sent", "exporter_sent", COUNTER, "Documents that the destination accepted."),
    ("bytes", "exporter_sent_bytes", COUNTER, "Bytes of the documents that were accepted."),
    ("refused", "exporter_refused", COUNTER, "Documents that the destination refused for good."),
    ("retries", "exporter_retries", COUNTER, "Batches, or parts of one, that had to be sent again."),
    ("suppressed", "exporter_suppressed", COUNTER, "Events that the rate limit held back."),
    ("gaps", "exporter_gaps", COUNTER, "Times that records were removed before they were read."),
    ("dead_bytes", "exporter_dead_bytes", GAUGE, "Bytes of refused documents that wait for somebody."),
    ("last_sent", "exporter_last_sent_seconds", GAUGE, "When it sent last, seconds since 1970."),
)


def families(state: Mapping[str, Any]) -> Iterator[Family]:
    """All exporters, by name and type."""
    told: Sequence[Mapping[str, Any]] = state.get("exporters") or ()
    for key, name, kind, help in _FIGURES:
        samples = ((_labels(one), float(one[key])) for one in told if key in one)
        yield rows(name, kind, help, ("exporter", "type"), samples)
    states = (((*_labels(one), str(one["state"])), 1.0) for one in told if "state" in one)
    help = "1 for the state that it is in: running, waiting, blocked, paused, replaying, stopped, failed."
    yield rows("exporter_state", GAUGE, help, ("exporter", "type", "state"), states)


def _labels(one: Mapping[str, Any]) -> tuple[str, str]:
    return str(one.get("name", "")), str(one.get("type", ""))
