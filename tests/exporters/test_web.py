# SPDX-License-Identifier: Apache-2.0
"""The HTTP client against real servers that behave badly."""

from __future__ import annotations

import email.utils
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exporters import options
from exporters.base import OptionError, TryAgain
from exporters.limits import Backoff
from exporters.tls import Tls
from exporters.web import Answer, Web, WebOptions, excerpt, gzip, judge, refuse, retry_after
from tests.exporters.conftest import Certificates
from tests.exporters.faulty_tls import FAULTS, faulty, ours
from tests.exporters.receivers.web import HttpReceiver, Reply, Request


def echo(request: Request) -> Reply:
    return Reply(200, request.body)


@pytest.fixture
def server() -> Iterator[HttpReceiver]:
    with HttpReceiver(echo) as receiver:
        yield receiver


def client(url: str, **keys: Any) -> Web:
    return Web(WebOptions(url, **{"timeout_seconds": 1.0, **keys}), "tracehound/1")


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_a_body_arrives_as_it_was(compression: str, server: HttpReceiver) -> None:
    web = client(server.url, compression=compression)
    assert web.post("/x", b"event" * 1000, {}).body == b"event" * 1000
    assert ("Content-Encoding" in server.requests[0].headers) == (compression == "gzip")
    web.close()


def test_path_of_the_url_comes_before_the_request_s(server: HttpReceiver) -> None:
    web = client(server.url + "/behind/proxy/")
    web.post("/x?y=1", b"", {})
    assert server.requests[0].path == "/behind/proxy/x?y=1"
    web.close()


@pytest.mark.parametrize(
    ("fault", "reason"), [("half", "connection broke"), ("drop", "connection broke"), ("hang", "in time")]
)
def test_half_an_answer_or_none_is_tried_again(fault: str, reason: str, server: HttpReceiver) -> None:
    server.faults.append(Reply(200, b"half", fault=fault))
    web = client(server.url)
    with pytest.raises(TryAgain, match=reason) as caught:
        web.post("/", b"x", {})
    assert not caught.value.needs_operator
    assert web.post("/", b"y", {}).body == b"y"
    web.close()


def test_an_answer_that_trickles_does_not_hold_us_up() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    web = client(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_seconds=0.5)
    with listener, trickle(listener), pytest.raises(TryAgain, match=r"does not end|in time"):
        web.post("/", b"x", {})
    web.close()


def trickle(listener: socket.socket) -> Any:
    """A server that sends a byte of its answer every 0.1 s."""
    import contextlib
    import threading

    @contextlib.contextmanager
    def run() -> Iterator[None]:
        stop = threading.Event()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                peer.recv(4096)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not stop.wait(0.1):
                    peer.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        stop.set()
        thread.join()

    return run()


def test_nobody_listening_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(TryAgain, match="refused"):
        client(url).post("/", b"", {})


def test_tls_with_a_known_ca_works(certificates: Certificates) -> None:
    with HttpReceiver(echo, certificates.server()) as server:
        web = client(server.url, tls=Tls(ca_file=certificates.ca_file))
        assert web.post("/", b"x", {}).body == b"x"
        web.close()


def test_an_unknown_ca_needs_an_operator(certificates: Certificates) -> None:
    with HttpReceiver(echo, certificates.server()) as server:
        with pytest.raises(TryAgain, match=r"tls\.ca_file") as caught:
            client(server.url).post("/", b"x", {})
        assert caught.value.needs_operator


def test_another_server_s_certificate_needs_an_operator(certificates: Certificates) -> None:
    with HttpReceiver(echo, certificates.server()) as server:
        tls = Tls(ca_file=certificates.ca_file, server_name="siem.example.org")
        with pytest.raises(TryAgain, match="siem") as caught:
            client(server.url, tls=tls).post("/", b"x", {})
        assert caught.value.needs_operator


def test_server_name_replaces_the_host_of_the_url(certificates: Certificates) -> None:
    with HttpReceiver(echo, certificates.server()) as server:
        web = client(server.url, tls=Tls(ca_file=certificates.ca_file, server_name="localhost"))
        assert web.post("/", b"x", {}).status == 200
        web.close()


def test_insecure_takes_any_certificate(certificates: Certificates) -> None:
    with HttpReceiver(echo, certificates.server()) as server:
        web = client(server.url, tls=Tls(insecure=True))
        assert web.post("/", b"x", {}).status == 200
        web.close()


def test_a_client_certificate_is_shown(certificates: Certificates) -> None:
    with HttpReceiver(echo, certificates.server(wants_client=True)) as server:
        tls = Tls(ca_file=certificates.ca_file, cert_file=certificates.client_file)
        web = client(server.url, tls=tls)
        assert web.post("/", b"x", {}).status == 200
        web.close()


def judged(status: int, **headers: str) -> TryAgain:
    with pytest.raises(TryAgain) as caught:
        judge(Answer(status, headers, b"why"))
    return caught.value


def test_statuses_are_sorted_by_what_has_to_be_done() -> None:
    assert judge(Answer(204, {}, b"")) == ""
    assert judge(Answer(400, {}, b"bad\n event")) == "HTTP 400: bad event"
    assert judged(413).smaller
    assert all(judged(status).needs_operator for status in (301, 401, 403, 404, 407, 501))
    assert not any(judged(status).needs_operator for status in (408, 425, 429, 500, 502, 503, 504))


def test_retry_after_is_seconds_or_a_date() -> None:
    assert judged(429, **{"Retry-After": "12"}).after_s == 12
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    assert retry_after(Answer(503, {"Retry-After": date}, b"")) == pytest.approx(100, abs=5)
    assert retry_after(Answer(503, {"Retry-After": "soon"}, b"")) is None


def test_one_refused_document_is_a_dead_letter_several_are_halved() -> None:
    assert refuse([1], "bad").refused == [(0, "bad")]
    with pytest.raises(TryAgain) as caught:
        refuse([1, 2], "bad")
    assert caught.value.smaller


def test_an_excerpt_shows_no_control_characters() -> None:
    assert excerpt(b"a\x1b[31m\n b\xff") == "a\ufffd[31m b\ufffd"


def test_urls_with_passwords_are_refused() -> None:
    with pytest.raises(OptionError, match="holds a name or password"):
        options.parse(WebOptions, {"url": "https://me:secret@h"})


@pytest.mark.parametrize("fault", FAULTS)
def test_a_way_out_is_told_for_each_fault_of_tls_and_nothing_is_sent(
    fault: str, server: HttpReceiver, certificates: Certificates
) -> None:
    with faulty(fault, server.server.server_port, certificates) as relay:
        web = client(f"https://127.0.0.1:{relay.port}", tls=Tls(**ours(fault, certificates)))
        with pytest.raises(TryAgain, match=FAULTS[fault]) as caught:
            web.post("/", b"x", {})
    assert caught.value.needs_operator
    assert (relay.passed, server.requests) == (0, [])


def test_a_certificate_that_was_renewed_counts_at_the_next_attempt(
    server: HttpReceiver, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "own.pem").write_bytes(Path(certificates.stranger_file).read_bytes())
    tls = Tls(ca_file=certificates.ca_file, cert_file=str(tmp_path / "own.pem"))
    with faulty("no certificate of ours", server.server.server_port, certificates) as relay:
        web = client(f"https://127.0.0.1:{relay.port}", tls=tls)
        with pytest.raises(TryAgain, match="wants a certificate"):
            web.post("/", b"x", {})
        (tmp_path / "own.pem").write_text("torn")
        with pytest.raises(OptionError, match=r"tls\.cert_file"):
            web.post("/", b"x", {})
        (tmp_path / "own.pem").write_bytes(Path(certificates.client_file).read_bytes())
        assert web.post("/", b"x", {}).body == b"x"
        web.close()


def test_a_redirect_is_not_followed_into_the_clear(server: HttpReceiver, certificates: Certificates) -> None:
    server.faults.append(Reply(200))
    there = {"Location": f"{server.url}/steal"}
    with HttpReceiver(lambda _: Reply(307, b"", there), certificates.server()) as redirecting:
        web = client(redirecting.url, tls=Tls(ca_file=certificates.ca_file))
        with pytest.raises(TryAgain, match="HTTP 307") as caught:
            judge(web.post("/", b"x", {"Authorization": "Bearer s3cret"}))
        web.close()
    assert caught.value.needs_operator
    assert server.requests == []


@pytest.mark.parametrize("body", [b"junk", gzip(b"\0" * (400 << 20))])
def test_an_answer_that_is_no_gzip_or_a_bomb_is_tried_again(body: bytes) -> None:
    before = psutil.Process().memory_info().rss
    with HttpReceiver(lambda _: Reply(200, body, {"Content-Encoding": "gzip"})) as receiver:
        web = client(receiver.url, timeout_seconds=20)
        with pytest.raises(TryAgain, match=r"connection broke|too long") as caught:
            web.post("/", b"x", {})
        web.close()
    assert not caught.value.needs_operator
    assert psutil.Process().memory_info().rss - before < 100 << 20


def test_whoever_asks_for_years_waits_an_hour() -> None:
    for years in ("999999999", "Fri, 31 Dec 9999 23:59:59 GMT"):
        asked = judged(429, **{"Retry-After": years}).after_s
        assert asked is not None and Backoff(0.5, 60).next(asked) == 3600
    assert judged(429, **{"Retry-After": "9" * 5000}).after_s is None
