# SPDX-License-Identifier: Apache-2.0
"""CPU time of sending 20,000 events to a receiver in another process, without reading and formatting them.

Events have our own log's shape; each has an exec_id and a command line of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from exporters import alertmanager, elasticsearch, otlp, splunk, syslog
from exporters.base import Context, Document
from tests.exporters.conftest import Certificates, certificates
from tests.exporters.receivers.documents import document, execution, refusal
from tests.exporters.test_syslog import server

pytestmark = [pytest.mark.bench, pytest.mark.benchmark(timer=time.process_time, disable_gc=False)]
__all__ = ["certificates", "server"]
EVENTS = 20_000


@pytest.fixture(scope="module")
def events() -> list[Document]:
    made = []
    for number in range(1, EVENTS + 1):
        record = execution(number)
        process = record["process_exec"]["process"]
        process["arguments"] = f"-c 'cat /var/lib/app/{number * 7919 % 500:04x}/data --since {number}'"
        process["exec_id"] = f"bjE6{number * 104729:016x}OjEwMDA="
        made.append(document(record))
    return made


@contextmanager
def receiver(kind: str) -> Iterator[str]:
    """URL of a receiver; at the end all events must have arrived."""
    command = [sys.executable, "-m", "tests.exporters.receivers.serve", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None and child.stdout is not None
        yield child.stdout.readline().strip()
        child.stdin.close()
        assert int(child.stdout.read()) >= EVENTS


def measure(benchmark: Any, destination: Any, events: list[Document], batch: int) -> None:
    def send() -> None:
        for first in range(0, len(events), batch):
            sent = destination.send(events[first : first + batch])
            assert not sent.refused and not sent.again

    started = time.process_time()
    benchmark.pedantic(send, rounds=1, iterations=1)
    spent = time.process_time() - started
    destination.close()
    size = sum(len(event.body) for event in events) // len(events)
    benchmark.extra_info["us_per_event"] = round(spent / len(events) * 1e6, 2)
    print(
        f"{spent / len(events) * 1e6:.1f} us of CPU per event of {size} bytes: {len(events) / spent:,.0f}/s"
    )


def context(tmp_path: Path, **options: object) -> Context:
    return Context("bench", "1", str(tmp_path), dict(options))


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_splunk(compression: str, benchmark: Any, events: list[Document], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    with receiver("splunk") as url:
        keys = {
            "url": url,
            "token_file": str(tmp_path / "token"),
            "acknowledge": True,
            "compression": compression,
        }
        measure(benchmark, splunk.open(context(tmp_path, **keys)), events, 20_000)


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_elasticsearch(compression: str, benchmark: Any, events: list[Document], tmp_path: Path) -> None:
    with receiver("elasticsearch") as url:
        made = elasticsearch.open(context(tmp_path, url=url, compression=compression))
        measure(benchmark, made, events, 2000)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_otlp(
    protocol: str, compression: str, benchmark: Any, events: list[Document], tmp_path: Path
) -> None:
    with receiver(f"otlp_{protocol}") as url:
        made = otlp.open(context(tmp_path, url=url, protocol=protocol, compression=compression))
        measure(benchmark, made, events, 1000)


def test_otlp_without_attributes_made(benchmark: Any, events: list[Document]) -> None:
    """What of otlp is the encoder's; the rest is the format's (exporters/formats/otel.py)."""
    from exporters.formats.otel import otel
    from exporters.otlp_wire import Encoder, text_value

    described = [otel(event.record) for event in events]
    encoder = Encoder()

    def encode() -> None:
        for event, told in zip(events, described, strict=True):
            encoder.record(
                told.name, (9, "INFO"), (1, 2), text_value(event.body),
                [*told.attributes.items(), ("log.record.uid", event.uid)],
            )  # fmt: skip

    started = time.process_time()
    benchmark.pedantic(encode, rounds=1, iterations=1)
    print(f"encoder: {(time.process_time() - started) / EVENTS * 1e6:.1f} us")


@pytest.mark.parametrize("transport", ["tcp", "tls", "unix"])
@pytest.mark.parametrize("server", ["rsyslog"], indirect=True)
def test_syslog(
    transport: str,
    benchmark: Any,
    events: list[Document],
    tmp_path: Path,
    server: Any,
    certificates: Certificates,
) -> None:
    from tests.exporters.test_syslog import keys_of

    made = syslog.open(context(tmp_path, **keys_of(transport, server, certificates)))
    measure(benchmark, made, events, 2000)
    assert len(server.messages(EVENTS)) == EVENTS


def test_alertmanager(benchmark: Any, events: list[Document], tmp_path: Path) -> None:
    """One event in a hundred alarms: 100 policies."""
    from tests.exporters.receivers.web import HttpReceiver, Reply

    mixed = [
        document(refusal(event.sequence, policy=f"p{event.sequence // 100 % 100}"))
        if index % 100 == 0
        else event
        for index, event in enumerate(events)
    ]
    with HttpReceiver(lambda _request: Reply()) as receiver:
        measure(benchmark, alertmanager.open(context(tmp_path, url=receiver.url)), mixed, 500)
    assert sum(len(orjson.loads(request.body)) for request in receiver.requests) >= 100
