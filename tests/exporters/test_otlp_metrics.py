# SPDX-License-Identifier: Apache-2.0
"""Heartbeats as metrics."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from exporters.otlp_metrics import KEPT, Heartbeats
from tests.exporters.receivers.documents import FIRST_NS, document, own


def metrics(heartbeats: Heartbeats, now_ns: int = FIRST_NS) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest.FromString(heartbeats.request({"host.name": "n1"}, "1", now_ns))


def test_without_heartbeats_there_is_nothing_to_send() -> None:
    assert Heartbeats().request({}, "1", 1) == b""


def test_counts_begin_when_the_agent_started() -> None:
    heartbeats = Heartbeats()
    heartbeats.note(document(own("start", 1, {})))
    heartbeats.note(document(own("heartbeat", 2, {"events": 7})))
    point = metrics(heartbeats).resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    assert (point.start_time_unix_nano, point.time_unix_nano) == (FIRST_NS + 10**6, FIRST_NS + 2 * 10**6)
    assert point.as_int == 7


def test_lag_is_the_age_of_the_newest_heartbeat() -> None:
    heartbeats = Heartbeats()
    heartbeats.note(document(own("heartbeat", 1, {})))
    (lag,) = metrics(heartbeats, FIRST_NS + 10**6 + 4 * 10**9).resource_metrics[0].scope_metrics[0].metrics
    assert (lag.name, lag.gauge.data_points[0].as_double) == ("tracehound.export.lag", 4.0)


def test_what_waits_is_bounded_and_gone_when_told() -> None:
    heartbeats = Heartbeats()
    for number in range(1, KEPT + 50):
        heartbeats.note(document(own("heartbeat", number, {"events": number})))
    found = metrics(heartbeats).resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    assert (len(found), found[-1].as_int) == (KEPT, KEPT + 49)
    heartbeats.told()
    assert heartbeats.request({}, "1", 1) == b""


def test_hostile_contents_make_no_exception() -> None:
    heartbeats = Heartbeats()
    heartbeats.note(
        document(own("heartbeat", 1, {"events": "x", "lost": 5, "ring_fill": True, "programs": []}))
    )
    assert len(metrics(heartbeats).resource_metrics[0].scope_metrics[0].metrics) == 1
