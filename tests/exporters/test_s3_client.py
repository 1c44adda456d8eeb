# SPDX-License-Identifier: Apache-2.0
"""moto's S3 server with TLS of its own, faults of TLS before one without, and stores that are no good."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exporters.base import OptionError, TryAgain
from exporters.bucket import Bucket
from exporters.s3 import OPTIONS
from exporters.s3_client import client_of
from tests.exporters.canned import answering
from tests.exporters.conftest import Certificates
from tests.exporters.faulty_tls import FAULTS, faulty, ours
from tests.exporters.receivers.web import HttpReceiver, Reply
from tests.exporters.relay import Relay
from tests.exporters.s3_server import BUCKET, Server

pytest.importorskip("botocore", reason="tracehound[s3] is not installed")
pytest.importorskip("moto", reason="no S3 server is installed")

CONTENT = b"PAR1 what ran in the pod"
OK = b"HTTP/1.1 200 OK\r\n"
Open = Callable[..., Bucket]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Server]:
    """One server for all, with TLS."""
    made = Server(tmp_path_factory.mktemp("s3"), own=certificates.server_file, ca=certificates.ca_file)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another one without TLS, for what stands before it."""
    made = Server(tmp_path_factory.mktemp("plain"))
    yield made
    made.stop()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens buckets: `opened(endpoint, …)`; the secret is in tmp_path."""
    (tmp_path / "secret").write_text("geheim\n")

    def make(endpoint: str, **given: Any) -> Bucket:
        base = {"bucket": BUCKET, "endpoint": endpoint, "access_key_id": "a", "timeout_seconds": 3}
        chosen = OPTIONS.parse(base | {"secret_key_file": str(tmp_path / "secret")} | given)
        return Bucket(lambda: client_of(chosen, "test"), BUCKET, 5 << 20, "sha256", {}, lambda _: None)

    return make


def at(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def put(bucket: Bucket) -> None:
    bucket.put("key", CONTENT, {})


def refusal(bucket: Bucket) -> TryAgain:
    with pytest.raises(TryAgain) as raised:
        put(bucket)
    return raised.value


def test_an_object_arrives_over_tls(server: Server, opened: Open, certificates: Certificates) -> None:
    put(opened(server.url, tls={"ca_file": certificates.ca_file}))
    assert server.content("key") == CONTENT


def test_the_connection_is_kept(opened: Open) -> None:
    with HttpReceiver(lambda _: Reply(200, b"", {"ETag": '"opaque"'})) as store:
        relay = Relay(store.server.server_port)
        bucket = opened(f"http://127.0.0.1:{relay.port}")
        for _ in range(3):
            put(bucket)
        relay.stop()
    assert (len(store.requests), relay.connections) == (3, 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_tls_needs_an_operator_and_nothing_is_sent(
    fault: str, plain: Server, opened: Open, certificates: Certificates
) -> None:
    with faulty(fault, plain.port, certificates) as relay:
        problem = refusal(opened(f"https://127.0.0.1:{relay.port}", tls=ours(fault, certificates)))
    assert FAULTS[fault] in problem.reason
    assert (problem.needs_operator, relay.passed) == (True, 0)


def test_a_certificate_that_was_renewed_counts_at_the_next_attempt(
    plain: Server, opened: Open, certificates: Certificates, tmp_path: Path
) -> None:
    plain.empty()
    own = tmp_path / "own.pem"
    own.write_bytes(Path(certificates.stranger_file).read_bytes())
    with faulty("no certificate of ours", plain.port, certificates) as relay:
        tls = ours("", certificates) | {"cert_file": str(own)}
        bucket = opened(f"https://127.0.0.1:{relay.port}", tls=tls)
        assert "wants a certificate" in refusal(bucket).reason
        own.write_text("torn")
        assert "tls.cert_file" in refusal(bucket).reason
        own.write_bytes(Path(certificates.client_file).read_bytes())
        put(bucket)
    assert plain.content("key") == CONTENT


@pytest.mark.usefixtures("no_collector")  # one connection at a time: the first has to be closed
def test_a_secret_that_was_renewed_counts_after_it_was_refused(opened: Open, tmp_path: Path) -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    with answering(refused) as (port, heard):
        bucket = opened(at(port))
        assert refusal(bucket).needs_operator
        (tmp_path / "secret").unlink()
        assert "secret_key_file: cannot be read" in refusal(bucket).reason
        (tmp_path / "secret").write_text("another\n")
        refusal(bucket)
    assert len(heard) == 2
    assert b"geheim" not in b"".join(heard)


def test_a_port_without_tls_is_sent_nothing_in_the_clear(plain: Server, opened: Open) -> None:
    relay, heard = Relay(plain.port), []
    relay.asked = lambda data: heard.append(data) or data
    problem = refusal(opened(f"https://127.0.0.1:{relay.port}"))
    relay.stop()
    assert ("speaks no TLS" in problem.reason, problem.needs_operator) == (True, True)
    assert b"".join(heard)[:2] == b"\x16\x03"  # a handshake record (RFC 8446 section 5.1) and nothing else
    assert b"PAR1" not in b"".join(heard)


def test_https_that_is_forgotten_is_asked_about(server: Server, opened: Open) -> None:
    assert "http or https?" in refusal(opened(f"http://127.0.0.1:{server.port}")).reason


def test_insecure_takes_any_certificate(server: Server, opened: Open) -> None:
    put(opened(server.url, tls={"insecure": True}))


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "server_name"])
def test_what_is_no_good_in_tls_is_named(key: str, opened: Open) -> None:
    with pytest.raises(OptionError, match=rf"tls\.{key}"):
        opened("https://127.0.0.1:1", tls={key: "/none"})


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Le"], "half an answer"),
        ([OK, b"Content-Length: 100\r\n\r\nhalf"], "connection broke"),
        ([OK, b"Transfer-Encoding: chunked\r\n\r\nffff\r\nhalf"], "IncompleteRead|invalid chunk"),
        ([OK, b"Content-Length: 0\r\n\r\n"], "half an answer"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], "http or https"),
        ([b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n<Err\x00\xff<<<"], "HTTP 503"),
        ([OK, b'Content-Encoding: gzip\r\nETag: "x"\r\nContent-Length: 4\r\n\r\njunk'], "HTTP 500"),
        ([b"HTTP/1.1 429 Slow\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\n\r\n"], "HTTP 429"),
    ],
)
def test_an_answer_that_is_no_good_is_no_answer(pieces: list[bytes], words: str, opened: Open) -> None:
    with answering(*pieces) as (port, _), pytest.raises(TryAgain, match=words) as raised:
        put(opened(at(port)))
    assert not raised.value.needs_operator


def test_the_end_of_an_upload_needs_a_whole_answer(opened: Open, tmp_path: Path) -> None:
    begun = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
    head = b'HTTP/1.1 200 OK\r\nETag: "x"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n' % len(begun)
    (tmp_path / "file").write_bytes(bytes(6 << 20))
    with answering(head, begun) as (port, _), pytest.raises(TryAgain, match=r"ETag|connection broke|damaged"):
        opened(at(port)).put_file("key", tmp_path / "file", {}, None)


def test_a_redirect_is_not_followed_into_the_clear(opened: Open) -> None:
    with answering(b"") as (elsewhere, heard):
        head = b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nConnection: close\r\nLocation: "
        with answering(head + at(elsewhere).encode() + b"/x\r\n\r\n") as (port, _):
            problem = refusal(opened(at(port)))
    assert ("endpoint and region" in problem.reason, problem.needs_operator) == (True, True)
    assert heard == []


def test_an_answer_of_ten_gigabytes_is_not_read(opened: Open) -> None:
    before = psutil.Process().memory_info().rss
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 10000000000\r\n\r\n"
    with answering(head, *[b"x" * (1 << 20)] * 100) as (port, _):
        problem = refusal(opened(at(port)))
    assert "too long" in problem.reason
    assert psutil.Process().memory_info().rss - before < 60 << 20


def test_an_answer_that_trickles_ends_with_the_time_for_it(opened: Open) -> None:
    head = OK + b"Content-Length: 1000\r\n\r\n"
    with answering(head, *[b"x"] * 60, slowly=True) as (port, _):
        assert "does not end" in refusal(opened(at(port), timeout_seconds=1)).reason


def test_who_hangs_in_the_handshake_is_given_up(opened: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        problem = refusal(opened(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout_seconds=1))
    assert not problem.needs_operator
