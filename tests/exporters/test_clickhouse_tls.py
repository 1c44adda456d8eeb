# SPDX-License-Identifier: Apache-2.0
"""A real server's own TLS port, and faults of TLS before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from exporters import clickhouse
from exporters.base import Context, OptionError, Sent, TryAgain
from tests.exporters.clickhouse_server import BINARY, Server
from tests.exporters.conftest import Certificates
from tests.exporters.faulty_tls import FAULTS, faulty, ours
from tests.exporters.relay import Relay
from tests.exporters.samples import documents

pytest.importorskip("clickhouse_driver", reason="tracehound[clickhouse] is not installed")
NAMES = (f"secured_{number}" for number in count())

Open = Callable[..., clickhouse.ClickHouse]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Server]:
    """One server for all; its TLS port takes nobody without a certificate."""
    if BINARY is None:
        pytest.skip("clickhouse-server is not installed")
    place = tmp_path_factory.mktemp("clickhouse")
    made = Server(place, certificates.server_file, certificates.ca_file)
    try:
        made.wait()
        yield made
    finally:
        made.stop()


@pytest.fixture
def table(server: Server) -> str:
    """A new, empty table."""
    return server.table(next(NAMES))


@pytest.fixture
def opened(server: Server, table: str, certificates: Certificates) -> Iterator[Open]:
    """Opens destinations that write into the table: `opened(port, …)`."""
    made: list[clickhouse.ClickHouse] = []

    def make(port: int = server.secure_port, **given: Any) -> clickhouse.ClickHouse:
        base = {"hosts": [f"127.0.0.1:{port}"], "table": table, "timeout_seconds": 5}
        made.append(
            clickhouse.open(Context("test", "1.0", "/none", base | {"tls": ours("", certificates)} | given))
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_every_document_arrives_over_tls_with_certificates_of_both(
    server: Server, table: str, opened: Open, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret\n")
    sent = opened(user="agent", password_file=str(tmp_path / "password")).send(documents(3000))
    assert sent == Sent()
    assert server.sequences(table) == list(range(1, 3001))


def test_a_password_that_is_corrected_counts_at_the_next_attempt(
    server: Server, table: str, opened: Open, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("geheim\n")
    destination = opened(user="agent", password_file=str(tmp_path / "password"))
    with pytest.raises(TryAgain, match=r"193: .*see user and password_file") as raised:
        destination.send(documents(5))
    assert raised.value.needs_operator
    assert "geheim" not in raised.value.reason
    (tmp_path / "password").write_text("secret\n")
    assert destination.send(documents(5)) == Sent()
    assert server.sequences(table) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("fault", [one for one in FAULTS if "certificate" in one])
def test_the_server_refuses_us_without_a_certificate_that_it_knows(
    fault: str, server: Server, table: str, opened: Open, certificates: Certificates
) -> None:
    with pytest.raises(TryAgain, match=r"wants a certificate|tls\.cert_file\?"):  # if it just hangs up
        opened(tls=ours(fault, certificates)).send(documents(5))
    assert server.sequences(table) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_tls_needs_an_operator_and_nothing_is_sent(
    fault: str, server: Server, opened: Open, certificates: Certificates
) -> None:
    with faulty(fault, server.port, certificates) as relay, pytest.raises(TryAgain) as raised:
        opened(relay.port, tls=ours(fault, certificates)).send(documents(5))
    assert FAULTS[fault] in raised.value.reason
    assert (raised.value.needs_operator, relay.passed) == (True, 0)


def test_an_authority_that_was_renewed_counts_at_the_next_attempt(
    server: Server, table: str, opened: Open, certificates: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(Path(certificates.other_ca_file).read_bytes())
    destination = opened(tls=ours("", certificates) | {"ca_file": str(tmp_path / "ca.pem")})
    with pytest.raises(TryAgain, match="nobody vouches"):
        destination.send(documents(5))
    (tmp_path / "ca.pem").write_bytes(Path(certificates.ca_file).read_bytes())
    assert destination.send(documents(5)) == Sent()
    assert server.sequences(table) == [1, 2, 3, 4, 5]


def test_an_insert_that_breaks_within_tls_is_sent_again(
    server: Server, table: str, opened: Open, certificates: Certificates
) -> None:
    with faulty("", server.port, certificates) as relay:
        destination = opened(relay.port, compression="none")
        relay.cut_after = 20_000
        with pytest.raises(TryAgain) as raised:
            destination.send(documents(2000))
        relay.cut_after = None
        assert destination.send(documents(2000)) == Sent()
    assert not raised.value.needs_operator
    assert server.sequences(table) == list(range(1, 2001))


def test_a_server_name_other_than_the_host_is_looked_for(opened: Open, certificates: Certificates) -> None:
    known = ours("", certificates)
    assert opened(tls=known | {"server_name": "localhost"}).send(documents(5)) == Sent()
    with pytest.raises(TryAgain, match="for another name"):
        opened(tls=known | {"server_name": "siem.example.org"}).send(documents(5))


def test_without_tls_a_port_that_wants_it_is_told(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TryAgain, match="does the port want TLS"):
        opened(tls=None).send(documents(5))
    assert [one.name for one in caplog.records if one.name.startswith("clickhouse_driver")] == []


def test_a_port_without_tls_is_sent_nothing_in_the_clear(
    server: Server, opened: Open, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("geheim\n")
    relay, heard = Relay(server.port), []
    relay.asked = lambda data: heard.append(data) or data
    with pytest.raises(TryAgain, match="speaks no TLS") as raised:
        opened(relay.port, user="agent", password_file=str(tmp_path / "password")).send(documents(5))
    relay.stop()
    assert raised.value.needs_operator
    assert b"".join(heard)[:2] == b"\x16\x03"  # a handshake record (RFC 8446 section 5.1) and nothing else
    assert b"geheim" not in b"".join(heard)


def test_a_password_without_tls_is_warned_of(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("geheim\n")
    with caplog.at_level(logging.WARNING):
        opened(tls=None, password_file=str(tmp_path / "password"))
    assert "in the clear" in caplog.text


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_file_that_is_not_there_is_named(opened: Open, key: str) -> None:
    with pytest.raises(OptionError, match=rf"tls\.{key}: /none"):
        opened(tls={key: "/none"})
