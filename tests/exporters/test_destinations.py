# SPDX-License-Identifier: Apache-2.0
"""From the log through the runner to each destination: nothing is missing there, whatever goes wrong."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from tests.exporters.conftest import RunOnce
from tests.exporters.eventlog import EventLog
from tests.exporters.receivers.elastic import Cluster
from tests.exporters.receivers.otlp import Fault, Store, grpc_server
from tests.exporters.receivers.splunk import BUSY, Collector
from tests.exporters.receivers.web import HttpReceiver, Reply

SMALL = {"events": 50, "bytes": "1MiB"}
FAULTS = [
    Reply(429, headers={"Retry-After": "0"}),
    Reply(500),
    Reply(fault="drop"),
    Reply(200, b"{", fault="half"),
]


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "secret"
    path.write_text("s3cret")
    return str(path)


def all_of(event_log: EventLog) -> set[int]:
    return set(range(1, event_log.sequence + 1))


def without_words(format_: str) -> set[int]:
    """Records that a format has no words for: the `segment` record at the head."""
    return {1} if format_ != "json" else set()


@pytest.mark.parametrize("acknowledge", [False, True])
def test_splunk(acknowledge: bool, event_log: EventLog, run_once: RunOnce, secret: str) -> None:
    event_log.execs(500)
    collector = Collector(acknowledges=acknowledge)
    with HttpReceiver(collector) as server:
        server.faults += [*FAULTS, BUSY]
        keys = {"type": "splunk", "url": server.url, "token_file": secret, "acknowledge": acknowledge}
        runner = run_once(batch=SMALL, **keys)
    arrived: list[Any] = [event["fields"] for event in collector.indexed]
    assert {fields["sequence"] for fields in arrived} == all_of(event_log)
    assert (runner.state.sent, runner.state.refused) == (event_log.sequence, 0)


@pytest.mark.parametrize("format_", ["json", "ecs", "ocsf"])
def test_elasticsearch(format_: str, event_log: EventLog, run_once: RunOnce) -> None:
    event_log.execs(500)
    cluster = Cluster()
    cluster.rejected = {f"n1/{event_log.boot_id}/{number}" for number in range(10, 200, 7)}
    with HttpReceiver(cluster) as server:
        server.faults += FAULTS
        runner = run_once(batch=SMALL, type="elasticsearch", url=server.url, format=format_)
    stored = {int(uid.rpartition("/")[2]) for uid in cluster.stored}
    assert stored | without_words(format_) == all_of(event_log)
    assert (len(cluster.stored), runner.state.refused) == (runner.state.sent, 0)


@pytest.mark.parametrize("format_", ["json", "ecs"])
def test_otlp(format_: str, event_log: EventLog, run_once: RunOnce) -> None:
    event_log.execs(500)
    store = Store()
    store.faults += [
        Fault(StatusCode.UNAVAILABLE), Fault(StatusCode.RESOURCE_EXHAUSTED, "full", 0.01),
        Fault(StatusCode.RESOURCE_EXHAUSTED, "too large"), Fault(StatusCode.ABORTED),
    ]  # fmt: skip
    with grpc_server(store) as address:
        runner = run_once(batch=SMALL, type="otlp", url=f"http://{address}", format=format_)
    numbers = [
        pair.value.int_value
        for record in store.records()
        for pair in record.attributes
        if pair.key == "tracehound.sequence"
    ]
    assert len(numbers) == runner.state.sent
    assert set(numbers) | without_words(format_) == all_of(event_log)


def test_syslog_with_a_receiver_that_crashes_again_and_again(event_log: EventLog, run_once: RunOnce) -> None:
    event_log.execs(500)
    arrived: set[int] = set()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=crash_now_and_then, args=(listener, arrived))
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        run_once(batch=SMALL, type="syslog", transport="tcp", address=address)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert arrived == all_of(event_log)


def crash_now_and_then(listener: socket.socket, arrived: set[int]) -> None:
    """Takes what a connection brings; the first four are left with data that was not read."""
    for crash in (True, True, True, True, False, False, False, False):
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        with peer:
            data = peer.recv(4096) if crash else b"".join(iter(lambda: peer.recv(1 << 16), b""))  # noqa: B023
        whole = data[: data.rfind(b"}") + 1]
        arrived.update(int(number) for number in re.findall(rb' sequence="(\d+)"\] [^\n]*?\}\}', whole))
