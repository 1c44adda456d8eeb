# SPDX-License-Identifier: Apache-2.0
"""The bulk exporter against a cluster that keeps Elasticsearch's published rules."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporters import elasticsearch
from exporters.base import Context, OptionError, TryAgain
from tests.exporters.receivers.documents import BOOT, document, execution, executions
from tests.exporters.receivers.elastic import Cluster, error
from tests.exporters.receivers.web import HttpReceiver, Reply

Make = Callable[..., Context]
DATA = Path(elasticsearch.__file__).parent / "data" / "elasticsearch"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def server(cluster: Cluster) -> Iterator[HttpReceiver]:
    with HttpReceiver(cluster) as receiver:
        yield receiver


@pytest.fixture
def exporter(server: HttpReceiver, context: Make) -> Iterator[elasticsearch.Elasticsearch]:
    made = elasticsearch.open(context(url=server.url))
    yield made
    made.close()


Exporter = elasticsearch.Elasticsearch


def test_every_document_of_a_batch_is_stored_once(exporter: Exporter, cluster: Cluster) -> None:
    sent = exporter.send(executions(1500))
    assert (list(sent.refused), list(sent.again)) == ([], [])
    assert list(cluster.stored) == [f"n1/{BOOT}/{number}" for number in range(1, 1501)]


def test_a_document_arrives_with_all_its_fields(exporter: Exporter, cluster: Cluster) -> None:
    exporter.send(executions(1))
    assert cluster.stored[f"n1/{BOOT}/1"] == {
        "@timestamp": "2026-01-01T00:00:00.001000001Z",
        **execution(1),
    }


def test_a_timestamp_that_is_there_stays(exporter: Exporter, cluster: Cluster) -> None:
    exporter.send([document(execution(1), b'{"@timestamp":"2020-01-01T00:00:00Z","a":1}')])
    assert cluster.stored[f"n1/{BOOT}/1"] == {"@timestamp": "2020-01-01T00:00:00Z", "a": 1}


def test_a_variable_called_timestamp_cannot_hide_an_event(exporter: Exporter, cluster: Cluster) -> None:
    record = execution(1)
    record["tracehound"]["environment"] = {"@timestamp": "never"}
    assert list(exporter.send([document(record)]).refused) == []
    assert f"n1/{BOOT}/1" in cluster.stored


def test_documents_that_are_there_already_are_done(exporter: Exporter, cluster: Cluster) -> None:
    exporter.send(executions(5))
    sent = exporter.send(executions(10))
    assert (list(sent.refused), list(sent.again), len(cluster.stored)) == ([], [], 10)


def test_of_a_partial_failure_each_document_gets_its_own_answer(exporter: Exporter, cluster: Cluster) -> None:
    batch = executions(6)
    batch[1] = batch[1]._replace(body=b'{"a":1,"a":2}')
    cluster.rejected = {batch[3].uid, batch[4].uid}
    sent = exporter.send(batch)
    assert [(index, "Duplicate field" in why) for index, why in sent.refused] == [(1, True)]
    assert list(sent.again) == [3, 4]
    assert list(exporter.send([batch[3], batch[4]]).again) == []
    assert len(cluster.stored) == 5


@pytest.mark.parametrize("status", [401, 403, 404])
def test_missing_rights_or_streams_need_an_operator(
    status: int, exporter: Exporter, server: HttpReceiver
) -> None:
    server.faults.append(error(status, "security_exception", "no"))
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    assert caught.value.needs_operator


def test_a_right_that_is_missing_per_document_needs_an_operator(
    exporter: Exporter, server: HttpReceiver
) -> None:
    item = {"create": {"status": 403, "error": {"type": "security_exception", "reason": "no"}}}
    server.faults.append(Reply(200, json.dumps({"errors": True, "items": [item]}).encode()))
    with pytest.raises(TryAgain, match="security_exception: no") as caught:
        exporter.send(executions(1))
    assert caught.value.needs_operator


def test_429_with_retry_after_and_413_are_told(
    exporter: Exporter, server: HttpReceiver, cluster: Cluster
) -> None:
    server.faults.append(Reply(429, headers={"Retry-After": "3"}))
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    assert caught.value.after_s == 3
    cluster.content_limit = 100
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    assert caught.value.smaller


def test_a_request_that_is_refused_whole_is_halved(exporter: Exporter, server: HttpReceiver) -> None:
    server.faults += [
        error(400, "illegal_argument_exception", "x"),
        error(400, "illegal_argument_exception", "x"),
    ]
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    assert caught.value.smaller
    assert [index for index, _ in exporter.send(executions(1)).refused] == [0]


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'{"errors":true,"items":[]}', b'{"errors":true,"items":5}']
)
def test_an_answer_of_something_else_is_no_success(
    body: bytes, exporter: Exporter, server: HttpReceiver
) -> None:
    server.faults.append(Reply(200, body))
    with pytest.raises(TryAgain):
        exporter.send(executions(2))


@pytest.mark.parametrize(
    ("keys", "header"),
    [
        ({"api_key_file": True}, "ApiKey s3cret"),
        ({"username": "me", "password_file": True}, "Basic " + base64.b64encode(b"me:s3cret").decode()),
    ],
)
def test_keys_and_passwords_are_sent(
    keys: dict[str, object],
    header: str,
    server: HttpReceiver,
    cluster: Cluster,
    context: Make,
    token_file: Path,
) -> None:
    cluster.authorization = header
    given = {key: str(token_file) if value is True else value for key, value in keys.items()}
    made = elasticsearch.open(context(url=server.url, **given))
    assert list(made.send(executions(1)).refused) == []
    token_file.write_text("expired")
    with pytest.raises(TryAgain) as caught:
        made.send(executions(2))
    assert caught.value.needs_operator
    made.close()


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"data_stream": "Logs-*"}, "data_stream: 'Logs-.' cannot be one"),
        ({"username": "me"}, "name and password belong together"),
        ({"username": "me", "password_env": "P", "api_key_env": "K"}, "stands beside an API key"),
    ],
)
def test_wrong_options_are_told(keys: dict[str, object], told: str, context: Make) -> None:
    with pytest.raises(OptionError, match=told):
        elasticsearch.open(context(url="https://h:9200", **keys))


@pytest.mark.parametrize(
    "name", ["index-template", "lifecycle", "opensearch-template", "opensearch-lifecycle"]
)
def test_shipped_templates_are_json_for_our_data_stream(name: str) -> None:
    shipped = json.loads((DATA / f"{name}.json").read_text())
    assert shipped.get("index_patterns", ["logs-tracehound-*"]) == ["logs-tracehound-*"]
    assert "policy" in shipped or shipped["data_stream"] == {}


@pytest.mark.parametrize(
    ("body", "has"),
    [
        (b'{"@timestamp":"x"}', True),
        (b'{"a":1,"@timestamp":"x"}', True),
        (b'{"a":{"@timestamp":"x"}}', False),
        (b'{"a":"\\"@timestamp\\":"}', False),
    ],
)
def test_a_timestamp_counts_at_the_top_only(body: bytes, has: bool) -> None:
    assert elasticsearch.has_timestamp(body) == has
