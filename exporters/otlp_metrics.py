# SPDX-License-Identifier: Apache-2.0
"""The agent's metrics, from the heartbeats that stand in the log every 30 seconds.

Data types and encoding are those of the opentelemetry SDK; the request goes over the exporter's own
connection, so that TLS, credentials and time limits are the same as for logs. Names: docs/exporters.md,
"otlp".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporters.base import Document

KEPT = 240
"""Heartbeats that wait while the receiver takes no metrics: two hours."""


class Heartbeats:
    """Heartbeats that have not been told as metrics."""

    def __init__(self) -> None:
        self._start_ns = 0
        self._waiting: dict[str, Document] = {}

    def note(self, document: Document) -> None:
        """Look at a record: remember a heartbeat, and when the agent started, for its counts begin there."""
        if document.type == "start":
            self._start_ns = document.time_ns
        elif document.type == "heartbeat":
            self._waiting[document.uid] = document
            if len(self._waiting) > KEPT:
                del self._waiting[next(iter(self._waiting))]

    def request(self, resource: Mapping[str, Any], version: str, now_ns: int) -> bytes:
        """An ExportMetricsServiceRequest of what waits; empty when nothing does."""
        if not self._waiting:
            return b""
        metrics = merge(list(measure(list(self._waiting.values()), self._start_ns, now_ns)))
        scope = ScopeMetrics(InstrumentationScope("tracehound", version), metrics, "")
        data = MetricsData([ResourceMetrics(Resource(dict(resource)), [scope], "")])
        return encode_metrics(data).SerializeToString()

    def told(self) -> None:
        """What waited has arrived."""
        self._waiting.clear()


def measure(heartbeats: Sequence[Document], start_ns: int, now_ns: int) -> Iterator[Metric]:
    """The metrics of some heartbeats. `now_ns`: wall clock, for the lag of the last one."""
    for document in heartbeats:
        content = document.record.get("tracehound", {}).get("heartbeat", {})
        at = (start_ns if start_ns <= document.time_ns else 0, document.time_ns)
        yield _sum("tracehound.events", "Events written to the log", "{event}", at, content.get("events"))
        for cause, count in _items(content.get("lost")):
            about = {"cause": cause}
            yield _sum("tracehound.lost", "Events lost, by cause", "{event}", at, count, about)
        yield _gauge("tracehound.processes", "Processes known", "{process}", at, content.get("processes"))
        yield _gauge("tracehound.ring.fill", "Share of the ring in use", "1", at, content.get("ring_fill"))
        for program in content.get("programs") or ():
            about = {"program": str(program.get("name"))}
            is_there = int(bool(program.get("attached")))
            yield _gauge(
                "tracehound.program.attached", "1: the program is attached", "1", at, is_there, about
            )
    last = heartbeats[-1].time_ns
    lag_s = max(0.0, (now_ns - last) / 1e9)
    yield _gauge("tracehound.export.lag", "Age of the newest record sent", "s", (0, now_ns), lag_s)


def merge(metrics: Sequence[Metric]) -> list[Metric]:
    """One metric per name, with all points; those without a value are left out."""
    merged: dict[str, Metric] = {}
    for metric in metrics:
        if metric.name in merged:
            before = merged[metric.name].data
            points: Any = [*before.data_points, *metric.data.data_points]
            metric = replace(metric, data=replace(before, data_points=points))
        if metric.data.data_points:
            merged[metric.name] = metric
    return list(merged.values())


def _sum(
    name: str,
    about: str,
    unit: str,
    at: tuple[int, int],
    value: Any,
    attributes: Mapping[str, str] | None = None,
) -> Metric:
    points = _points(at, value, attributes)
    return Metric(name, about, unit, Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True))


def _gauge(
    name: str,
    about: str,
    unit: str,
    at: tuple[int, int],
    value: Any,
    attributes: Mapping[str, str] | None = None,
) -> Metric:
    return Metric(name, about, unit, Gauge(_points(at, value, attributes)))


def _points(at: tuple[int, int], value: Any, attributes: Mapping[str, str] | None) -> list[NumberDataPoint]:
    """One point, none for what is no number. `at`: since when it counts, when it was read, nanoseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return []
    return [NumberDataPoint(dict(attributes or {}), at[0], at[1], value)]


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    yield from value.items() if isinstance(value, dict) else ()
