# SPDX-License-Identifier: Apache-2.0
import resource
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agent.errors import TracehoundError, UsageError
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


def test_a_text_larger_than_the_memory_is_refused(store: Store) -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(UsageError, match="more memory than 512MB"):
        sql(store, "SELECT repeat('a', 2000000000)")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_ctrl_c_ends_a_statement_without_end(store: Store) -> None:
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            sql(store, endless)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_now_is_in_the_zone_of_the_column(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        (told,) = sql(store, "SELECT now()::TIMESTAMP").rows[0]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert abs(told - datetime.now(UTC).replace(tzinfo=None)) < timedelta(hours=1)


def test_lines_that_are_not_compacted_are_copied_up_to_a_limit(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("agent.store.sql.LIVE_BYTES", 100)
    with pytest.raises(TracehoundError, match="too many lines are not compacted"):
        sql(store, "SELECT 1")
    assert not list(tmp_path.glob("tracehound-query-*"))
