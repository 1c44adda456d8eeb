# SPDX-License-Identifier: Apache-2.0
import socket
import struct
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.events
import pytest

from agent.api import wire
from agent.api.proto.tetragon import events_pb2
from tests.agent.api.support import Agent, Log, wait_until

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "x"),
    (":path", "/tetragon.FineGuidanceSensors/GetVersion"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


class Raw:
    """A client that speaks HTTP/2 and may send what it likes."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(15)
        self.sock.connect(path)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.http.send_headers(1, HEADERS)
        self.flush()

    def flush(self) -> None:
        self.sock.sendall(self.http.data_to_send())

    def send(self, data: bytes, end: bool = True) -> None:
        self.http.send_data(1, data, end_stream=end)
        self.flush()

    def status(self) -> tuple[str, str]:
        """The call's gRPC status and message."""
        while True:
            data = self.sock.recv(65536)
            assert data, "the connection was closed without an answer"
            for event in self.http.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    found = dict(event.headers)
                    if "grpc-status" in found:
                        return found["grpc-status"], found.get("grpc-message", "")
            self.flush()


@pytest.fixture
def raw(agent: Agent) -> Iterator[Raw]:
    client = Raw(agent.path)
    with client.sock:
        yield client


def test_a_message_is_framed() -> None:
    assert wire.frame(b"abc") == b"\0\0\0\0\3abc"


def test_a_request_that_arrives_byte_by_byte_is_read(raw: Raw) -> None:
    for byte in wire.frame(b""):
        raw.send(bytes([byte]), end=False)
    raw.send(b"")
    assert raw.status() == ("0", "")


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (b"", "3", "a request has one message; this one has none"),
        (struct.pack(">?I", True, 0), "12", "compressed messages are not supported"),
        (struct.pack(">?I", False, wire.LONGEST_REQUEST + 1), "8", "a request has at most 2101248 bytes"),
        (wire.frame(b"abc")[:-1], "3", "the request ends inside its message"),
        (b"\0\0", "3", "the request ends inside its message"),
        (wire.frame(b"\xff\xff"), "3", "not a tetragon.GetVersionRequest: "),
    ],
)
def test_what_is_no_request_is_refused(raw: Raw, data: bytes, status: str, text: str) -> None:
    raw.send(data)
    found = raw.status()
    assert found[0] == status
    assert found[1].startswith(text)


def test_a_request_that_never_comes_is_given_up(raw: Raw) -> None:
    raw.send(b"\0", end=False)
    assert raw.status() == ("4", "no request came within 10 s")


def test_many_messages_travel_together(agent: Agent, log: Log) -> None:
    from tests.agent.api.support import get_events, pids

    with agent.channel() as channel:
        events = get_events(channel)
        log.execs(range(1, 2001))
        assert pids(events, 2000) == list(range(1, 2001))
    wait_until(lambda: agent.child is not None)


def test_a_long_event_arrives_whole(agent: Agent, log: Log) -> None:
    from tests.agent.api.support import get_events

    with agent.channel() as channel:
        events = get_events(channel, allow_list=[events_pb2.Filter(pid=[2])])
        log.exec(1, arguments="x" * 300_000)
        log.exec(2, arguments="y" * 300_000)
        assert next(events).process_exec.process.arguments == "y" * 300_000
