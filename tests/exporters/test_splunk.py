# SPDX-License-Identifier: Apache-2.0
"""The HEC exporter against a collector that keeps Splunk's published rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporters import splunk
from exporters.base import Context, OptionError, TryAgain
from tests.exporters.receivers.documents import BOOT, FIRST_NS, document, execution, executions
from tests.exporters.receivers.splunk import BUSY, Collector, say
from tests.exporters.receivers.web import HttpReceiver, Reply

Make = Callable[..., Context]


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def server(collector: Collector) -> Iterator[HttpReceiver]:
    with HttpReceiver(collector) as receiver:
        yield receiver


@pytest.fixture
def exporter(server: HttpReceiver, context: Make, token_file: Path) -> Iterator[splunk.Splunk]:
    made = splunk.open(context(url=server.url, token_file=str(token_file)))
    yield made
    made.close()


@pytest.fixture
def acknowledged(server: HttpReceiver, context: Make, token_file: Path) -> Iterator[splunk.Splunk]:
    made = splunk.open(
        context(url=server.url, token_file=str(token_file), acknowledge=True, acknowledge_seconds=1)
    )
    yield made
    made.close()


def sequences(collector: Collector) -> list[Any]:
    return [event["fields"]["sequence"] for event in collector.indexed]  # type: ignore[index]


def test_every_event_of_a_batch_is_indexed_in_order(exporter: splunk.Splunk, collector: Collector) -> None:
    sent = exporter.send(executions(5000))
    assert (sent.refused, sent.again) == ([], [])
    assert sequences(collector) == list(range(1, 5001))


def test_an_event_arrives_with_its_metadata_and_all_its_fields(
    exporter: splunk.Splunk, collector: Collector
) -> None:
    exporter.send(executions(1))
    assert collector.indexed == [
        {
            "time": pytest.approx((FIRST_NS + 1_000_000) / 1e9),
            "host": "n1",
            "source": "tracehound",
            "sourcetype": "tracehound:process_exec",
            "fields": {"boot_id": BOOT, "sequence": 1},
            "event": execution(1),
        }
    ]


def test_time_has_nanoseconds(exporter: splunk.Splunk, server: HttpReceiver) -> None:
    exporter.send(executions(1))
    assert server.requests[0].body.startswith(b'{"time":1767225600.001000001,')


def test_text_that_is_no_json_becomes_a_string(exporter: splunk.Splunk, collector: Collector) -> None:
    exporter.send([document(execution(1), b'CEF:0|x|"quoted"')])
    assert collector.indexed[0]["event"] == 'CEF:0|x|"quoted"'


def test_index_and_own_fields_are_sent(
    server: HttpReceiver, collector: Collector, context: Make, token_file: Path
) -> None:
    keys = {"index": "sec", "fields": {"site": "b"}, "sourcetype": "th"}
    splunk.open(context(url=server.url, token_file=str(token_file), **keys)).send(executions(1))
    event = collector.indexed[0]
    assert (event["index"], event["sourcetype"], event["fields"]["site"]) == ("sec", "th", "b")  # type: ignore[index]


def test_large_batches_travel_in_requests_of_bounded_size(
    server: HttpReceiver, collector: Collector, context: Make, token_file: Path
) -> None:
    made = splunk.open(context(url=server.url, token_file=str(token_file), request_bytes=65536))
    made.send(executions(300))
    assert max(len(request.body) for request in server.requests) <= 65536
    assert sequences(collector) == list(range(1, 301))


def test_a_receiver_with_a_lower_limit_gets_smaller_requests(
    exporter: splunk.Splunk, collector: Collector
) -> None:
    collector.content_limit = 100_000
    exporter.send(executions(500))
    assert sorted(sequences(collector)) == list(range(1, 501))


def test_the_bad_event_of_a_batch_is_refused_and_no_other(
    exporter: splunk.Splunk, collector: Collector
) -> None:
    batch = executions(20)
    batch[7] = batch[7]._replace(body=b"{broken")
    sent = exporter.send(batch)
    assert [(index, "code 6" in why) for index, why in sent.refused] == [(7, True)]
    assert set(sequences(collector)) == set(range(1, 21)) - {8}


@pytest.mark.parametrize("reply", [BUSY, Reply(500, b"oops"), Reply(502)])
def test_a_busy_or_broken_receiver_is_tried_again(
    reply: Reply, exporter: splunk.Splunk, server: HttpReceiver
) -> None:
    server.faults.append(reply)
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(3))
    assert not caught.value.needs_operator
    assert exporter.send(executions(3)).refused == []


def test_429_says_when_to_come_back(exporter: splunk.Splunk, server: HttpReceiver) -> None:
    server.faults.append(Reply(429, b'{"text":"Queue at capacity","code":26}', {"Retry-After": "7"}))
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(1))
    assert caught.value.after_s == 7


def test_what_was_taken_before_a_failure_is_not_sent_again(
    server: HttpReceiver, collector: Collector, context: Make, token_file: Path
) -> None:
    made = splunk.open(context(url=server.url, token_file=str(token_file), request_bytes=65536))
    batch = executions(200)
    made.send(batch[:1])
    server.app = lambda request: collector(request) if len(server.requests) == 2 else BUSY
    sent = made.send(batch)
    taken = len(collector.indexed) - 1
    assert 0 < taken < 200
    assert list(sent.again) == list(range(taken, 200))


@pytest.mark.parametrize(("status", "code"), [(403, 4), (403, 1), (401, 3), (400, 7), (400, 10), (400, 14)])
def test_tokens_and_settings_need_an_operator(
    status: int, code: int, exporter: splunk.Splunk, server: HttpReceiver
) -> None:
    server.faults.append(say(status, code, "no"))
    with pytest.raises(TryAgain) as caught:
        exporter.send(executions(2))
    assert caught.value.needs_operator
    assert f"code {code}" in caught.value.reason


def test_a_renewed_token_counts_at_once(
    exporter: splunk.Splunk, collector: Collector, token_file: Path
) -> None:
    collector.token = "renewed"
    with pytest.raises(TryAgain):
        exporter.send(executions(1))
    token_file.write_text("renewed")
    assert exporter.send(executions(1)).refused == []


def test_another_server_in_its_place_is_not_taken_for_success(
    exporter: splunk.Splunk, server: HttpReceiver
) -> None:
    server.faults.append(Reply(200, b"<html>Welcome</html>"))
    with pytest.raises(TryAgain, match="no answer of an event collector"):
        exporter.send(executions(1))


def test_acknowledged_events_are_waited_for(acknowledged: splunk.Splunk, collector: Collector) -> None:
    collector.acknowledges, collector.silent_acks = True, 2
    sent = acknowledged.send(executions(10))
    assert (sent.refused, sent.again, collector.silent_acks) == ([], [], 0)


def test_events_whose_acknowledgement_never_comes_are_sent_again(
    acknowledged: splunk.Splunk, collector: Collector
) -> None:
    collector.acknowledges, collector.silent_acks = True, 10_000
    assert list(acknowledged.send(executions(3)).again) == [0, 1, 2]


def test_a_token_without_acknowledgement_is_told(acknowledged: splunk.Splunk) -> None:
    with pytest.raises(TryAgain, match="gives no ackId"):
        acknowledged.send(executions(1))


def test_the_channel_survives_a_restart(tmp_path: Path) -> None:
    assert splunk.channel(tmp_path) == splunk.channel(tmp_path)


def test_cookies_of_a_load_balancer_are_kept(exporter: splunk.Splunk, server: HttpReceiver) -> None:
    server.faults.append(Reply(200, b'{"text":"Success","code":0}', {"Set-Cookie": "node=a1; Path=/"}))
    exporter.send(executions(1))
    exporter.send(executions(1))
    assert server.requests[1].headers["Cookie"] == "node=a1"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"url": "splunk:8088", "token_env": "T"}, "url: is no URL"),
        ({"url": "https://h"}, "token_file: the token has no source"),
        ({"url": "https://h", "token_file": "/nonexistent"}, "token_file: cannot be read"),
        ({"url": "https://h", "token_env": "T", "chanel": 1}, "chanel: is no option"),
        ({"url": "https://h", "token_env": "T", "request_bytes": "64MiB"}, "request_bytes: is 67108864"),
    ],
)
def test_wrong_options_are_told_by_name(keys: dict[str, object], problem: str, context: Make) -> None:
    with pytest.raises(OptionError, match=problem):
        splunk.open(context(**keys))
