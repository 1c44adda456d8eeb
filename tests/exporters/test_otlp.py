# SPDX-License-Identifier: Apache-2.0
"""The OTLP exporter, over gRPC and HTTP, against the services that opentelemetry-proto generates."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from exporters import otlp
from exporters.base import Context, OptionError, TryAgain
from exporters.formats.otel import otel
from tests.exporters.receivers.documents import (
    BOOT,
    FIRST_NS,
    document,
    execution,
    executions,
    own,
    process,
)
from tests.exporters.receivers.otlp import Store, grpc_server
from tests.exporters.receivers.web import HttpReceiver

Make = Callable[..., Context]
HEARTBEAT = {
    "last_sequence": 9, "events": 1234, "lost": {"ring_full": 5}, "processes": 77, "ring_fill": 0.25,
    "programs": [{"name": "exec", "attached": True}, {"name": "exit", "attached": False}],
}  # fmt: skip


class Pair(NamedTuple):
    store: Store
    exporter: otlp.Otlp


@pytest.fixture(params=["grpc", "http"])
def pair(request: pytest.FixtureRequest, context: Make) -> Iterator[Pair]:
    """A receiver and an exporter that sends to it."""
    store = Store()
    more = getattr(request.function, "options", {})
    if request.param == "grpc":
        with grpc_server(store) as address:
            yield from opened(store, context(url=f"http://{address}", protocol="grpc", **more))
    else:
        with HttpReceiver(store) as server:
            yield from opened(store, context(url=server.url, protocol="http", **more))


def opened(store: Store, context: Context) -> Iterator[Pair]:
    exporter = otlp.open(context)
    yield Pair(store, exporter)
    exporter.close()


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: plain(pair.value) for pair in pairs}


def plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return attributes(value.kvlist_value.values) if kind == "kvlist_value" else kind and getattr(value, kind)


def test_every_record_arrives_once_and_in_order(pair: Pair) -> None:
    for first in range(1, 5000, 1000):
        assert list(pair.exporter.send(executions(1000, first)).refused) == []
    numbers = [attributes(record.attributes)["tracehound.sequence"] for record in pair.store.records()]
    assert numbers == list(range(1, 5001))


def test_a_record_arrives_with_name_times_severity_attributes_and_body(pair: Pair) -> None:
    pair.exporter.send(executions(1))
    (record,) = pair.store.records()
    event = otel(execution(1))
    assert (record.event_name, record.severity_number) == (event.name, event.severity_number)
    assert (record.severity_text, record.time_unix_nano) == (event.severity_text, FIRST_NS + 1_000_000)
    assert record.observed_time_unix_nano > record.time_unix_nano
    assert json.loads(record.body.string_value) == execution(1)
    expected = {
        key: list(value) if isinstance(value, tuple) else value for key, value in event.attributes.items()
    }
    assert attributes(record.attributes) == {**expected, "log.record.uid": f"n1/{BOOT}/1"}


def test_the_resource_says_who_tells(pair: Pair) -> None:
    pair.exporter.send(executions(1))
    (resource,) = pair.store.logs[0].resource_logs
    assert attributes(resource.resource.attributes) == {
        "service.name": "tracehound", "service.version": "1.2.3", "host.name": "n1", "host.id": "ab12",
        "k8s.cluster.name": "c1",
    }  # fmt: skip
    assert resource.scope_logs[0].scope.name == "tracehound"


def test_records_of_kubernetes_say_node_cluster_pod_and_container(pair: Pair) -> None:
    container = {"id": "containerd://ab", "name": "app", "image": {"name": "shop/web:1"}}
    pod = {"namespace": "shop", "name": "web-1", "uid": "u-1", "container": container}
    record = {**execution(1), "cluster_name": "prod"}
    record["process_exec"] = {**record["process_exec"], "process": process(7, pod=pod)}
    pair.exporter.send([document(record)])
    resource = attributes(pair.store.logs[0].resource_logs[0].resource.attributes)
    assert (resource["k8s.node.name"], resource["k8s.cluster.name"]) == ("n1", "prod")
    told = attributes(pair.store.records()[0].attributes)
    wanted = {"k8s.namespace.name": "shop", "k8s.pod.name": "web-1", "k8s.pod.uid": "u-1"}
    wanted |= {"container.id": "ab", "container.runtime.name": "containerd", "k8s.container.name": "app"}
    assert told.items() >= wanted.items()


test_the_resource_says_who_tells.options = {"resource": {"k8s.cluster.name": "c1"}}  # type: ignore[attr-defined]


def test_a_body_may_be_the_event_as_structured_data(pair: Pair) -> None:
    pair.exporter.send(executions(1))
    assert plain(pair.store.records()[0].body) == execution(1)


test_a_body_may_be_the_event_as_structured_data.options = {"body": "event"}  # type: ignore[attr-defined]


def test_a_body_may_be_one_line_for_people(pair: Pair) -> None:
    pair.exporter.send(executions(1))
    assert pair.store.records()[0].body.string_value == otel(execution(1)).body


test_a_body_may_be_one_line_for_people.options = {"body": "text"}  # type: ignore[attr-defined]


def points(store: Store) -> dict[tuple[str, str], float]:
    """Value by name and first attribute."""
    found = {}
    for metric in store.metrics[-1].resource_metrics[0].scope_metrics[0].metrics:
        data = metric.sum if metric.HasField("sum") else metric.gauge
        for point in data.data_points:
            about = next(iter(attributes(point.attributes).values()), "")
            found[metric.name, about] = point.as_double or point.as_int
    return found


def test_heartbeats_become_metrics(pair: Pair) -> None:
    pair.exporter.send([document(own("heartbeat", 9, HEARTBEAT))])
    found = points(pair.store)
    assert found.pop(("tracehound.export.lag", "")) > 0
    assert found == {
        ("tracehound.events", ""): 1234,
        ("tracehound.lost", "ring_full"): 5,
        ("tracehound.processes", ""): 77,
        ("tracehound.ring.fill", ""): 0.25,
        ("tracehound.program.attached", "exec"): 1,
        ("tracehound.program.attached", "exit"): 0,
    }


def test_a_partial_success_leaves_the_batch_as_dead_letters(pair: Pair) -> None:
    pair.store.rejected = 2
    sent = pair.exporter.send(executions(3))
    assert [index for index, _ in sent.refused] == [0, 1, 2]
    assert sent.refused[0][1] == "2 of these 3 were refused, not said which: too old"


def test_an_expired_token_needs_an_operator_and_a_new_one_counts_at_once(
    context: Make, token_file: Path
) -> None:
    store = Store()
    store.token = "renewed"
    with grpc_server(store) as grpc_address, HttpReceiver(store) as server:
        for keys in ({"url": f"http://{grpc_address}"}, {"url": server.url, "protocol": "http"}):
            token_file.write_text("expired")
            exporter = otlp.open(context(**keys, bearer_token_file=str(token_file)))
            with pytest.raises(TryAgain) as caught:
                exporter.send(executions(1))
            assert caught.value.needs_operator
            token_file.write_text("renewed")
            assert list(exporter.send(executions(1)).refused) == []
            exporter.close()


def test_a_request_that_would_be_too_large_is_not_sent(context: Make) -> None:
    exporter = otlp.open(context(url="http://127.0.0.1:1", request_bytes=65536))
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(1000))
    assert caught.value.smaller
    exporter.close()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"url": "https://h", "tls": {"insecure": True}}, "tls.insecure: gRPC always checks"),
        ({"url": "https://h/v1/logs"}, "url: has a path"),
        ({"url": "https://h", "protocol": "grcp"}, "protocol: is 'grcp'"),
        ({"url": "https://h", "body": "x"}, "body: is 'x'"),
    ],
)
def test_wrong_options_are_told(keys: dict[str, object], told: str, context: Make) -> None:
    with pytest.raises(OptionError, match=told):
        otlp.open(context(**keys))


def test_grpc_is_not_loaded_for_http() -> None:
    import subprocess
    import sys

    code = (
        "import sys, exporters.otlp as o; o.OPTIONS.parse({'url':'http://h'}); print('grpc' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "False\n"
    assert grpc is not None
