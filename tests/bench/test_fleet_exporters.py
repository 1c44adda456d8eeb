# SPDX-License-Identifier: Apache-2.0
"""CPU time of kafka, clickhouse and s3 per event, in the exporter; receivers are processes of their own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.log.segments import SegmentName
from agent.store.layout import parquet_path
from exporters import clickhouse, kafka, s3
from exporters.base import Context, Document
from tests.exporters.clickhouse_server import BINARY, Server
from tests.exporters.s3_server import BUCKET
from tests.exporters.s3_server import Server as Store
from tests.exporters.samples import document, documents
from tests.exporters.test_kafka import Broker

pytestmark = pytest.mark.bench
EVENTS = 40_000
BATCH = 10_000
SEGMENT = SegmentName(1767225600000, 1)


@pytest.fixture(scope="module")
def events() -> list[Document]:
    """Events with different processes and command lines."""
    made = []
    for doc in documents(EVENTS):
        process = doc.record[doc.type]["process"]
        process["exec_id"] = f"bjE6{doc.sequence * 104729:016x}OjEwMDA="
        process["arguments"] = f"-c 'cat /var/lib/app/{doc.sequence * 7919 % 500:04x}/data'"
        made.append(document(doc.record))
    return made


def tell(name: str, spent: float, events: int) -> None:
    print(f"{name}: {spent / events * 1e6:.1f} us of CPU per event, {events / spent:,.0f}/s and core")


def send_all(destination: Any, events: list[Document]) -> float:
    """CPU seconds of this process, the client's threads included."""
    destination.send(events[:1])
    started = time.process_time()
    for first in range(0, len(events), BATCH):
        sent = destination.send(events[first : first + BATCH])
        assert not sent.refused and not sent.again
    spent = time.process_time() - started
    destination.close()
    return spent


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_kafka(events: list[Document], compression: str) -> None:
    broker = Broker(0)
    try:
        given = {"brokers": [f"127.0.0.1:{broker.port}"], "topic": broker.topic(), "compression": compression}
        tell(f"kafka {compression}", send_all(kafka.open(Context("b", "1", "", given)), events), EVENTS)
    finally:
        broker.stop()


@pytest.mark.skipif(BINARY is None, reason="clickhouse-server is not installed")
@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_clickhouse(events: list[Document], compression: str, tmp_path: Path) -> None:
    server = Server(tmp_path)
    try:
        server.wait()
        given = {
            "hosts": [f"127.0.0.1:{server.port}"],
            "table": server.table("b"),
            "compression": compression,
        }
        tell(
            f"clickhouse {compression}",
            send_all(clickhouse.open(Context("b", "1", "", given)), events),
            EVENTS,
        )
        assert server.ask("SELECT uniqExact(sequence) FROM tracehound.b") == [(EVENTS,)]
    finally:
        server.stop()


@pytest.mark.parametrize("live", [False, True])
def test_s3(events: list[Document], live: bool, tmp_path: Path) -> None:
    """60 bytes per event as Parquet, of random bytes, which is the worst; or the lines themselves."""
    head = orjson.dumps({"tracehound": {"sequence": 1, "segment": {}}, "node_name": "n"})
    (tmp_path / str(SEGMENT)).write_bytes(b"\n".join([head, *[event.body for event in events]]) + b"\n")
    if not live:
        parquet_path(tmp_path, SEGMENT).parent.mkdir()
        with Path("/dev/urandom").open("rb") as noise:
            parquet_path(tmp_path, SEGMENT).write_bytes(noise.read(60 * EVENTS))
    server = Store(tmp_path)
    try:
        (tmp_path / "secret").write_text("b")
        given = {"bucket": BUCKET, "endpoint": server.url, "access_key_id": "a", "live": live}
        given["secret_key_file"] = str(tmp_path / "secret")
        made = s3.open_segments(Context("b", "1", str(tmp_path), given), str(tmp_path))
        started = time.process_time()
        while made.take().more:
            pass
        tell("s3 live" if live else "s3", time.process_time() - started, EVENTS)
    finally:
        server.stop()
