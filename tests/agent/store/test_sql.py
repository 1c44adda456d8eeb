# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agent.errors import UsageError
from agent.store.queries import Store
from agent.store.sql import VIEWS, schema, sql
from tests.agent.cli.conftest import LogMaker


@pytest.fixture
def store(stored: LogMaker) -> Store:
    return Store(stored.directory)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_answers(store: Store, view: str) -> None:
    assert sql(store, f"SELECT * FROM {view}").columns == [name for name, _, _ in schema()]


def test_compacted_and_live_lines_are_one(store: Store) -> None:
    found = sql(store, "SELECT count(*), count(DISTINCT sequence), max(sequence) FROM events")
    assert found.rows == [(10, 10, 10)]


def test_losses_can_be_looked_into(store: Store) -> None:
    assert sql(store, "SELECT payload->>'$.tracehound.loss.count' FROM losses").rows == [("3",)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "COPY events TO '/tmp/tracehound-test.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/tracehound-test.csv'",
        "ATTACH '/tmp/tracehound-test.db'",
        "INSTALL httpfs",
        "SET memory_limit='9GB'",
        "SELECT 1; DROP VIEW events",
        "SELECT",
        "",
    ],
)
def test_it_reads_the_log_and_nothing_else(store: Store, statement: str) -> None:
    with pytest.raises(UsageError):
        sql(store, statement)
    assert not list(Path("/tmp").glob("tracehound-test*"))


def test_files_of_an_older_schema_lack_columns(stored: LogMaker) -> None:
    (path,) = (stored.directory / "store").glob("*.parquet")
    pq.write_table(pq.read_table(path).drop_columns(["rule", "workload"]), path)
    assert sql(Store(stored.directory), "SELECT count(*), count(rule) FROM events").rows == [(10, 0)]


def test_a_damaged_file_is_left_out_and_told(stored: LogMaker) -> None:
    (path,) = (stored.directory / "store").glob("*.parquet")
    path.write_bytes(b"PAR1 nonsense")
    found = sql(Store(stored.directory), "SELECT count(*) FROM events")
    assert found.rows == [(3,)]
    assert "damaged" in found.completeness.notes[0]


def test_rows_beyond_the_limit_are_left_out(store: Store) -> None:
    found = sql(store, "SELECT * FROM events", most=2)
    assert (len(found.rows), found.truncated) == (2, 1)
