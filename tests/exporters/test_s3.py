# SPDX-License-Identifier: Apache-2.0
"""Against moto's S3 server; what arrived is told by the server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.log.entry import Cursor
from agent.log.manifest import MANIFEST_NAME
from agent.log.reader import LogReader
from agent.log.records import SegmentFacts
from agent.log.segments import SegmentName, list_segments
from agent.log.writer import LogWriter
from agent.settings import LogSettings
from agent.store.layout import parquet_path
from exporters import s3
from exporters.base import Context, ExporterUnavailable, OptionError, Taken, TryAgain
from exporters.s3_layout import MANIFEST
from tests.exporters.relay import Relay
from tests.exporters.s3_server import BUCKET, Server
from tests.exporters.samples import recorded

pytest.importorskip("botocore", reason="tracehound[s3] is not installed")
pytest.importorskip("moto", reason="no S3 server is installed")
zstandard = pytest.importorskip("zstandard")

LARGE = 12 << 20
"""Bytes of a file that needs three parts of the least size."""


def error(status: str, code: str) -> bytes:
    """What a store answers instead (Amazon S3 API Reference, "Error responses")."""
    body = f"<Error><Code>{code}</Code><Message>said the store</Message></Error>"
    head = "Content-Type: application/xml\r\nRetry-After: 7\r\nConnection: close"
    return f"HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


Open = Callable[..., s3.S3]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all."""
    made = Server(tmp_path_factory.mktemp("s3"))
    yield made
    made.stop()


@pytest.fixture
def server(started: Server) -> Server:
    """The server with an empty bucket."""
    started.empty()
    return started


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    """A way to the server that can be disturbed."""
    made = Relay(server.port)
    yield made
    made.stop()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three segments as the agent writes it."""
    directory = tmp_path / "log"
    facts = SegmentFacts("node/1", "boot-1", "", "6.1", "1.0")
    writer = LogWriter(LogSettings(dir=str(directory), segment_bytes=6000, fsync_seconds=-1, group=""), facts)
    writer.open()
    for line in recorded()[:2] * 6:
        head, _, tail = line.partition(b'"sequence":')
        writer.append([(head + b'"sequence":', tail.lstrip(b"0123456789") + b"\n")])
    writer.close("test")
    return directory


@pytest.fixture
def opened(relay: Relay, log: Path, tmp_path: Path) -> Open:
    """Opens destinations that reach the server through the relay, with one state directory."""
    (tmp_path / "state").mkdir()
    (tmp_path / "secret").write_text("b\n")

    def make(**given: Any) -> s3.S3:
        base = {
            "bucket": BUCKET,
            "endpoint": f"http://127.0.0.1:{relay.port}",
            "access_key_id": "a",
            "secret_key_file": str(tmp_path / "secret"),
            "part_bytes": "5MiB",
            "timeout_seconds": 10,
        }
        return s3.open_segments(Context("test", "1.0", str(tmp_path / "state"), base | given), str(log))

    return make


def compact(log: Path, name: SegmentName, content: bytes) -> None:
    """Put a file in the place of a segment's Parquet file; what is in it is nothing to the exporter."""
    parquet_path(log, name).parent.mkdir(exist_ok=True)
    parquet_path(log, name).write_bytes(content)


def take_all(destination: s3.S3) -> list[Taken]:
    taken = [destination.take()]
    while taken[-1].more:
        taken.append(destination.take())
    return taken


def test_the_manifest_has_the_name_that_the_log_gives_it() -> None:
    assert MANIFEST == MANIFEST_NAME


def test_compacted_segments_and_manifest_arrive_byte_for_byte(
    server: Server, log: Path, opened: Open
) -> None:
    names = list_segments(log)
    (log / MANIFEST).write_bytes(b'{"previous":""}\n{"more":1}\n')
    for name in names[:2]:
        compact(log, name, b"PAR1" + str(name).encode())
    taken = take_all(opened())
    date = time.strftime("date=%Y-%m-%d", time.gmtime(names[0].created_ms // 1000))
    stems = [str(name).removesuffix(".jsonl") for name in names]
    head = hashlib.sha256(b'{"previous":""}').hexdigest()[:16]
    wanted = [f"tracehound/manifest/node=node%2F1/{head}.jsonl"]
    wanted += [f"tracehound/node=node%2F1/{date}/{stem}.parquet" for stem in stems[:2]]
    assert server.keys() == wanted
    assert server.content(wanted[2]) == b"PAR1" + str(names[1]).encode()
    assert server.content(wanted[0]) == b'{"previous":""}\n{"more":1}\n'
    assert taken[-1].cursor == str(Cursor(str(names[2]), 0, names[2].first_sequence - 1))


def test_what_lies_in_the_bucket_answers_sql(server: Server, log: Path, opened: Open, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="tracehound[store] is not installed")
    subprocess.run([sys.executable, "-m", "agent.store.compact", str(log)], check=True, capture_output=True)
    for file in (log / "store").glob("*.parquet.new"):
        file.rename(file.with_suffix(""))
    take_all(opened())
    for key in server.keys(".parquet"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(server.content(key))
    files = str(tmp_path / "tracehound" / "node=*" / "date=*" / "*.parquet")
    with duckdb.connect() as db:
        found = db.execute("SELECT sequence FROM read_parquet(?) WHERE node = 'node/1' ORDER BY 1", [files])
        numbers = [row[0] for row in found.fetchall()]
    closed = list_segments(log)[-1].first_sequence
    assert numbers == list(range(1, numbers[-1] + 1))
    assert 1 < len(numbers) < closed


def test_nothing_is_sent_twice_not_even_after_a_restart(log: Path, opened: Open, relay: Relay) -> None:
    compact(log, list_segments(log)[0], b"PAR1")
    take_all(opened())
    before = relay.connections
    assert [taken.more for taken in take_all(opened())] == [False]
    assert relay.connections == before


def test_a_manifest_that_has_grown_goes_out_again(server: Server, log: Path, opened: Open) -> None:
    (log / MANIFEST).write_bytes(b"{}\n")
    destination = opened()
    take_all(destination)
    (log / MANIFEST).write_bytes(b"{}\n{}\n")
    take_all(destination)
    assert list(map(server.content, server.keys())) == [b"{}\n{}\n"]


def test_a_lost_state_sends_everything_once_more_to_the_same_place(
    server: Server, log: Path, opened: Open, tmp_path: Path
) -> None:
    compact(log, list_segments(log)[0], b"PAR1")
    take_all(opened())
    (tmp_path / "state" / "uploads.json").write_text("{ torn")
    before = server.keys()
    assert [taken.more for taken in take_all(opened())] == [True, True, False]
    assert server.keys() == before


def test_live_lines_are_those_of_the_log_and_follow_it(server: Server, log: Path, opened: Open) -> None:
    destination = opened(live=True)
    taken = take_all(destination)
    newest = list_segments(log)[-1]
    with (log / str(newest)).open("ab") as file:
        file.write(b'{"tracehound":{"sequence":99,"loss":{}}}\n{"torn')
    taken += take_all(destination)
    lines = [line for key in server.keys(".zst") for line in unpacked(server.content(key))]
    numbers = [orjson.loads(line)["tracehound"]["sequence"] for line in lines]
    assert numbers == [*[entry.sequence for entry in LogReader(log).read() if entry.line]]
    assert sum(one.events for one in taken) == len(numbers)
    assert Cursor.parse(taken[-1].cursor).sequence == 99


def unpacked(content: bytes) -> list[bytes]:
    return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(content)).splitlines()


def test_what_is_compacted_goes_no_more_as_lines(server: Server, log: Path, opened: Open) -> None:
    names = list_segments(log)
    compact(log, names[0], b"PAR1")
    take_all(opened(live=True))
    stem = str(names[0]).removesuffix(".jsonl")
    assert [key for key in server.keys(".zst") if stem in key] == []
    assert server.keys(".zst") != []


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_a_large_file_goes_in_parts(server: Server, log: Path, opened: Open, checksum: str) -> None:
    content = os.urandom(LARGE)
    compact(log, list_segments(log)[0], content)
    take_all(opened(checksum=checksum))
    (key,) = server.keys(".parquet")
    facts = server.client.head_object(Bucket=BUCKET, Key=key)
    assert facts["Metadata"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert facts["ETag"].endswith('-3"')
    assert server.content(key) == content


def test_half_an_upload_goes_on_where_it_was(server: Server, log: Path, opened: Open, relay: Relay) -> None:
    content = os.urandom(LARGE)
    compact(log, list_segments(log)[0], content)
    relay.cut_after = 8 << 20
    with pytest.raises(TryAgain) as raised:
        opened().take()
    assert not raised.value.needs_operator
    assert (server.keys(".parquet"), len(server.uploads())) == ([], 1)
    relay.cut_after, sent = None, []
    relay.asked = lambda data: sent.append(len(data)) or data
    take_all(opened())
    assert server.content(server.keys(".parquet")[0]) == content
    assert sum(sent) < LARGE - (4 << 20)
    assert server.uploads() == []


def test_an_upload_that_the_store_forgot_begins_anew(
    server: Server, log: Path, opened: Open, relay: Relay
) -> None:
    content = os.urandom(LARGE)
    compact(log, list_segments(log)[0], content)
    relay.cut_after = 8 << 20
    with pytest.raises(TryAgain):
        opened().take()
    relay.cut_after = None
    relay.answered = lambda _: error("404 Not Found", "NoSuchUpload")
    with pytest.raises(TryAgain, match="NoSuchUpload"):
        opened().take()
    relay.answered = bytes
    take_all(opened())
    assert server.content(server.keys(".parquet")[0]) == content


def test_a_store_that_wants_less_is_obeyed(log: Path, opened: Open, relay: Relay) -> None:
    compact(log, list_segments(log)[0], b"PAR1")
    relay.answered = lambda _: error("503 Slow Down", "SlowDown")
    with pytest.raises(TryAgain, match="503 SlowDown") as raised:
        opened().take()
    relay.answered = bytes
    assert (raised.value.after_s, raised.value.needs_operator) == (7.0, False)
    assert take_all(opened())


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_what_arrives_damaged_is_sent_again(
    server: Server, log: Path, opened: Open, relay: Relay, checksum: str
) -> None:
    compact(log, list_segments(log)[0], b"PAR1-content")
    relay.asked = lambda data: data.replace(b"PAR1-content", b"PAR1-CONTENT")
    with pytest.raises(TryAgain, match=r"checksum|Digest|damaged") as raised:
        opened(checksum=checksum).take()
    relay.asked = bytes
    assert not raised.value.needs_operator
    take_all(opened(checksum=checksum))
    assert server.content(server.keys(".parquet")[0]) == b"PAR1-content"


def test_a_store_that_is_gone_is_asked_again(log: Path, opened: Open, relay: Relay) -> None:
    compact(log, list_segments(log)[0], b"PAR1")
    relay.stop()
    with pytest.raises(TryAgain, match="Could not connect") as raised:
        opened().take()
    relay.start()
    assert not raised.value.needs_operator
    assert take_all(opened())


def test_a_bucket_that_is_not_there_needs_an_operator(log: Path, opened: Open) -> None:
    compact(log, list_segments(log)[0], b"PAR1")
    with pytest.raises(TryAgain, match="NoSuchBucket") as raised:
        opened(bucket="elsewhere").take()
    assert raised.value.needs_operator


def test_refused_credentials_need_an_operator(log: Path, opened: Open, tmp_path: Path) -> None:
    compact(log, list_segments(log)[0], b"PAR1")
    closed = Server(tmp_path, open_calls=1)
    try:
        with pytest.raises(TryAgain, match="403 InvalidAccessKeyId") as raised:
            opened(endpoint=closed.url).take()
    finally:
        closed.stop()
    assert raised.value.needs_operator


def test_a_log_without_a_segment_is_waited_for(log: Path, opened: Open) -> None:
    for name in list_segments(log):
        (log / str(name)).unlink()
    with pytest.raises(TryAgain, match="names the node"):
        opened().take()


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "bucket"),
        ({"bucket": "b", "endpoint": "minio:9000"}, "endpoint"),
        ({"bucket": "b", "access_key_id": "a"}, "access_key_id"),
        ({"bucket": "b", "checksum": "crc"}, "checksum"),
        ({"bucket": "b", "part_bytes": 1}, "part_bytes"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as raised:
        s3.open_segments(Context("test", "1.0", "/none", given), "/none")
    assert raised.value.key == key


def test_a_missing_client_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ExporterUnavailable, match=r"pip install 'tracehound\[s3\]'"):
        s3.open_segments(Context("test", "1.0", "/none", {"bucket": "b"}), "/none")
