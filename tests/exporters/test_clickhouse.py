# SPDX-License-Identifier: Apache-2.0
"""Against a real server (the oldest that the client knows); what arrived is told by the server."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agent.store.flat import COLUMNS, flatten
from exporters import clickhouse
from exporters.base import Context, ExporterUnavailable, OptionError, Sent, TryAgain
from tests.exporters.clickhouse_server import BINARY, Server
from tests.exporters.conftest import Certificates
from tests.exporters.relay import Relay, free_port
from tests.exporters.samples import document, documents, loss

pytest.importorskip("clickhouse_driver", reason="tracehound[clickhouse] is not installed")
NAMES = (f"events_{number}" for number in count())

Open = Callable[..., clickhouse.ClickHouse]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all."""
    if BINARY is None:
        pytest.skip("clickhouse-server is not installed")
    made = Server(tmp_path_factory.mktemp("clickhouse"))
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
def opened(server: Server, table: str) -> Iterator[Open]:
    """Opens destinations that write into the table."""
    made: list[clickhouse.ClickHouse] = []

    def make(**given: Any) -> clickhouse.ClickHouse:
        base = {"hosts": [f"127.0.0.1:{server.port}"], "table": table}
        made.append(clickhouse.open(Context("test", "1.0", "/none", base | given)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_every_document_arrives_once(server: Server, table: str, opened: Open, compression: str) -> None:
    assert opened(compression=compression).send([*documents(3000), loss(3001)]) == Sent()
    assert server.sequences(table) == list(range(1, 3002))


def test_each_field_of_an_event_arrives(server: Server, table: str, opened: Open) -> None:
    batch = documents(50)
    opened().send(batch)
    wanted = flatten(batch[20].record, batch[20].boot_id)
    found = server.ask(f"SELECT {', '.join(COLUMNS)}, payload FROM {table} WHERE sequence = 21")[0]
    for name, want, got in zip((*COLUMNS, "payload"), (*wanted, batch[20].body.decode()), found, strict=True):
        assert got == want or (want is None and got in ("", [])), name


def test_a_process_is_found_by_the_hash_of_each_ancestor(server: Server, table: str, opened: Open) -> None:
    batch = documents(50)
    opened().send(batch)
    one = next(doc for doc in batch if len(doc.record["tracehound"].get("ancestry", ())) > 1)
    exec_id = one.record[one.type]["process"]["exec_id"]
    for ancestor in [exec_id, *one.record["tracehound"]["ancestry"]]:
        where = f"sequence = {one.sequence} AND has(anc, cityHash64('{ancestor}'))"
        assert server.ask(f"SELECT count() FROM {table} WHERE {where}") == [(1,)]


def test_hostile_texts_arrive_as_they_are(server: Server, table: str, opened: Open) -> None:
    batch = documents(1)
    process = batch[0].record[batch[0].type]["process"]
    process["binary"] = "/tmp/'); DROP TABLE x; --\u2028\x00\\"
    opened().send([document(batch[0].record)])
    assert server.ask(f"SELECT exe FROM {table}") == [(process["binary"],)]


def test_an_older_table_gets_what_it_has_room_for_and_that_is_told(
    server: Server, table: str, opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server.ask(f"ALTER TABLE {table} DROP COLUMN rule")
    with caplog.at_level(logging.WARNING):
        assert opened().send(documents(5)) == Sent()
    assert server.sequences(table) == [1, 2, 3, 4, 5]
    assert "has no column rule" in caplog.text


def test_a_column_that_goes_away_meanwhile_is_left_out_at_the_next_attempt(
    server: Server, table: str, opened: Open
) -> None:
    destination = opened()
    destination.send(documents(5))
    server.ask(f"ALTER TABLE {table} DROP COLUMN workload")
    with pytest.raises(TryAgain, match="workload"):
        destination.send(documents(5, 6))
    destination.send(documents(5, 6))
    assert server.sequences(table) == list(range(1, 11))


@pytest.mark.parametrize("change", ["DROP COLUMN payload", "MODIFY COLUMN exe UInt64"])
def test_a_table_that_is_another_one_is_refused(
    server: Server, table: str, opened: Open, change: str
) -> None:
    server.ask(f"ALTER TABLE {table} {change}")
    with pytest.raises(TryAgain) as raised:
        opened().send(documents(5))
    assert raised.value.needs_operator
    assert server.sequences(table) == []


def test_without_the_table_the_operator_is_told_how_to_make_it(opened: Open) -> None:
    with pytest.raises(TryAgain, match="export ddl clickhouse") as raised:
        opened(table="tracehound.none").send(documents(5))
    assert raised.value.needs_operator


@pytest.mark.parametrize("user", ["agent", "nobody"])
def test_refused_credentials_need_an_operator(opened: Open, tmp_path: Path, user: str) -> None:
    (tmp_path / "password").write_text("geheim\n")
    with pytest.raises(TryAgain, match="ClickHouse error") as raised:
        opened(user=user, password_file=str(tmp_path / "password")).send(documents(5))
    assert raised.value.needs_operator
    assert "geheim" not in raised.value.reason


def test_a_password_from_a_file_is_taken(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    assert opened(user="agent", password_file=str(tmp_path / "password")).send(documents(5)) == Sent()


def test_too_many_parts_are_waited_for(server: Server, table: str, opened: Open) -> None:
    server.ask(
        f"CREATE TABLE {table}_full AS {table} ENGINE = MergeTree PARTITION BY tuple() "
        "ORDER BY (node, container, time) SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1"
    )
    destination = opened(table=f"{table}_full")
    with pytest.raises(TryAgain, match="252") as raised:
        for number in range(1, 20):
            destination.send(documents(1, number))
    assert raised.value.after_s == 10
    assert not raised.value.needs_operator


@pytest.mark.parametrize("cut_after", [2000, 20_000])
def test_half_an_insert_leaves_nothing_and_is_sent_again(
    server: Server, table: str, opened: Open, cut_after: int
) -> None:
    relay = Relay(server.port)
    destination = opened(hosts=[f"127.0.0.1:{relay.port}"], compression="none")
    relay.cut_after = cut_after
    with pytest.raises(TryAgain) as raised:
        destination.send(documents(2000))
    relay.cut_after = None
    assert not raised.value.needs_operator
    assert server.sequences(table) == []
    assert destination.send(documents(2000)) == Sent()
    relay.stop()
    assert server.sequences(table) == list(range(1, 2001))


def test_a_server_that_is_gone_is_asked_again(server: Server, table: str, opened: Open) -> None:
    relay = Relay(server.port)
    destination = opened(hosts=[f"127.0.0.1:{relay.port}"])
    destination.send(documents(5))
    relay.stop()
    with pytest.raises(TryAgain) as raised:
        destination.send(documents(5, 6))
    assert not raised.value.needs_operator
    relay.start()
    destination.send(documents(5, 6))
    relay.stop()
    assert server.sequences(table) == list(range(1, 11))


def test_the_next_host_is_asked_when_one_does_not_answer(server: Server, opened: Open) -> None:
    hosts = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{server.port}"]
    assert opened(hosts=hosts).send(documents(5)) == Sent()


def test_the_token_is_that_of_the_documents() -> None:
    batch = documents(10)
    assert clickhouse.token("a", batch) == clickhouse.token("a", documents(10))
    others = {
        clickhouse.token("a", batch[:9]),
        clickhouse.token("a", batch[1:]),
        clickhouse.token("b", batch),
    }
    assert len({clickhouse.token("a", batch), *others}) == 4


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "hosts"),
        ({"hosts": []}, "hosts"),
        ({"hosts": ["ch"]}, "hosts"),
        ({"hosts": ["ch:1"], "table": "a.b; DROP"}, "table"),
        ({"hosts": ["ch:1"], "compression": "rar"}, "compression"),
        ({"hosts": ["ch:1"], "password_file": "/none"}, "password_file"),
        ({"hosts": ["ch:1"], "quorum": -1}, "quorum"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as raised:
        clickhouse.open(Context("test", "1.0", "/none", given))
    assert raised.value.key == key


def test_tls_goes_to_the_client(certificates: Certificates) -> None:
    tls = {"ca_file": certificates.ca_file, "insecure": False}
    found = clickhouse.connection(clickhouse.OPTIONS.parse({"hosts": ["ch:9440"], "tls": tls}), "test")
    assert (found["secure"], found["verify"], found["ca_certs"]) == (True, True, certificates.ca_file)


def test_a_missing_client_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clickhouse_driver", None)
    with pytest.raises(ExporterUnavailable, match=r"pip install 'tracehound\[clickhouse\]'"):
        clickhouse.open(Context("test", "1.0", "/none", {"hosts": ["ch:9440"]}))
