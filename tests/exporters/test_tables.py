# SPDX-License-Identifier: Apache-2.0
"""Tables and the queries of docs/fleet.md, in a current ClickHouse (chdb, in process) and in an old one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.cli.main import main
from exporters.base import Document, OptionError
from exporters.clickhouse_rows import ALL, Column, Rows, choose
from exporters.tables import ddl, engines, statements
from tests.exporters.clickhouse_server import BINARY, Server
from tests.exporters.samples import document

FLEET = Path(__file__).resolve().parents[2] / "docs" / "fleet.md"
QUERIES = dict(re.findall(r"```sql\n-- ([\w ]+):[^\n]*\n(.*?)```", FLEET.read_text(), re.DOTALL))
TODAY = time.strftime("%Y-%m-%d", time.gmtime())
"""Of the rows: the table forgets what is older than 90 days."""
Ask = Callable[[str], list[Any]]


def process(number: int, above: list[int], container: str = "") -> Document:
    """The exec of process N below others, nearest first; `"` and `'` in its arguments."""
    body = {
        "exec_id": f"id-{number}",
        "pid": number,
        "uid": 0,
        "binary": f"/bin/p{number}",
        "arguments": 'it\'s "x"',
        "docker": container,
        "parent_exec_id": f"id-{above[0]}" if above else "",
    }
    return document(
        {
            "process_exec": {"process": body},
            "node_name": "n1",
            "time": f"{TODAY}T00:00:00.{number:09d}Z",
            "tracehound": {"sequence": number, "ancestry": [f"id-{one}" for one in above]},
        }
    )


FAMILY = [
    process(1, []),
    process(2, [1]),
    process(3, [2, 1], "c0ffee"),
    process(4, [3, 2, 1], "c0ffee"),
    process(5, [2, 1]),
    process(9, [1]),
]
"""1 - (2 - (3 - 4, 5), 9): the host's 2 enters a container."""


@pytest.fixture(scope="module")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A current server's SQL, with our table in it and the family in the table."""
    session = pytest.importorskip("chdb.session", reason="tracehound[receivers] is not installed")
    cityhash = pytest.importorskip("clickhouse_cityhash.cityhash")
    made = session.Session(str(tmp_path_factory.mktemp("chdb")))
    for statement in statements(ddl("clickhouse")):
        made.query(statement)

    def ask(query: str) -> list[Any]:
        answer = str(made.query(query, "JSONCompactEachRow"))
        return [orjson.loads(line) for line in answer.splitlines()]

    wanted, missing, problem = choose({row[0]: row[1] for row in ask("DESCRIBE tracehound.events")})
    assert (missing, problem) == ([], "")
    for _ in range(2):
        made.query(insert(wanted, Rows(cityhash.CityHash64).columns(FAMILY, wanted)))
    yield ask
    made.close()


def insert(wanted: list[Column], columns: list[list[Any]]) -> str:
    """The rows as a statement, with the token that a batch has."""
    names = [column.name for column in wanted]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    for row in rows:
        row["time"] = f"{row['time'] // 10**9}.{row['time'] % 10**9:09d}"
    lines = "\n".join(orjson.dumps(row).decode() for row in rows)
    return (
        f"INSERT INTO tracehound.events ({', '.join(names)}) "
        f"SETTINGS insert_deduplication_token='t' FORMAT JSONEachRow\n{lines}"
    )


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """The oldest server that we can try, with the table for old ones."""
    if BINARY is None:
        pytest.skip("clickhouse-server is not installed")
    cityhash = pytest.importorskip("clickhouse_cityhash.cityhash")
    driver = pytest.importorskip("clickhouse_driver")
    server = Server(tmp_path_factory.mktemp("clickhouse"))
    try:
        server.wait()
        server.table("events")
        wanted, _, _ = choose({row[0]: row[1] for row in server.ask("DESCRIBE TABLE tracehound.events")})
        with driver.Client("127.0.0.1", port=server.port) as client:
            names = ", ".join(column.name for column in wanted)
            rows = Rows(cityhash.CityHash64).columns(FAMILY, wanted)
            client.execute(f"INSERT INTO tracehound.events ({names}) VALUES", rows, columnar=True)
        yield server.ask
    finally:
        server.stop()


@pytest.fixture(params=["modern", "old"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both."""
    found: Ask = request.getfixturevalue(request.param)
    return found


def test_the_table_has_every_column(modern: Ask) -> None:
    assert {row[0] for row in modern("DESCRIBE tracehound.events")} == set(ALL)


def test_a_batch_that_comes_twice_is_there_once(modern: Ask) -> None:
    assert [int(row[0]) for row in modern("SELECT count() FROM tracehound.events")] == [len(FAMILY)]


def test_times_keep_their_nanoseconds_and_texts_their_quotes(modern: Ask) -> None:
    found = modern("SELECT time, args FROM tracehound.events WHERE pid = 3")
    assert found == [[f"{TODAY} 00:00:00.000000003", 'it\'s "x"']]


@pytest.mark.parametrize(
    ("root", "members"), [(2, [1, 2, 3, 4, 5]), (4, [1, 2, 3, 4]), (1, [1, 2, 3, 4, 5, 9]), (9, [1, 9])]
)
def test_a_tree_has_all_ancestors_and_descendants(ask: Ask, root: int, members: list[int]) -> None:
    found = ask(QUERIES["tree"].replace("EXEC_ID", f"id-{root}"))
    assert sorted(row[1] for row in found) == [f"id-{one}" for one in members]


def test_the_recursive_tree_has_the_same_descendants(modern: Ask) -> None:
    found = modern(QUERIES["recursive tree"].replace("EXEC_ID", "id-2"))
    assert [(row[0], int(row[2])) for row in found] == [("id-2", 0), ("id-3", 1), ("id-5", 1), ("id-4", 2)]


def test_a_timeline_is_that_of_the_subtree_in_order(ask: Ask) -> None:
    found = ask(QUERIES["timeline"].replace("EXEC_ID", "id-2"))
    assert [row[2] for row in found] == ["id-2", "id-3", "id-4", "id-5"]


def test_executions_are_told_by_node(ask: Ask) -> None:
    found = ask(QUERIES["executions"].replace("BINARY", "/bin/p3"))
    assert [(row[0], int(row[3])) for row in found] == [("n1", 1)]


@pytest.mark.parametrize("name", ["connections", "completeness"])
def test_the_other_queries_are_understood(ask: Ask, name: str) -> None:
    assert ask(QUERIES[name].replace("ADDRESS", "192.0.2.1")) == []


def test_gaps_tell_what_is_missing(modern: Ask) -> None:
    assert [int(row[2]) for row in modern("SELECT * FROM tracehound.gaps")] == [3]


def test_a_tree_reads_the_index_and_not_the_whole_table(modern: Ask) -> None:
    query = QUERIES["timeline"].replace("EXEC_ID", "id-2")
    assert "by_anc" in str(modern(f"EXPLAIN indexes = 1 {query}"))


def test_another_name_goes_into_every_statement() -> None:
    text = ddl("clickhouse", "security.events")
    assert "tracehound." not in text
    assert "CREATE DATABASE IF NOT EXISTS security;" in text
    assert "CREATE VIEW IF NOT EXISTS security.events_once" in text


@pytest.mark.parametrize(
    ("engine", "table"), [("oracle", "a.b"), ("clickhouse", "events"), ("clickhouse", "a.b;")]
)
def test_a_wrong_engine_or_name_is_refused(engine: str, table: str) -> None:
    with pytest.raises(OptionError):
        ddl(engine, table)


def test_both_tables_have_the_same_columns_in_the_same_order() -> None:
    found = [re.findall(r"^    (\w+) +[A-Z]", ddl(engine), re.MULTILINE) for engine in engines()]
    assert [name for name in found[0] if name != "INDEX"] == [name for name in found[1] if name != "INDEX"]
    assert set(found[1]) - {"INDEX"} == set(ALL)


def test_the_command_prints_the_table_under_the_wanted_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ddl", "clickhouse", "--table", "security.events"]) == 0
    assert capsys.readouterr().out == ddl("clickhouse", "security.events")


def test_the_command_names_the_engines_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ddl", "oracle"]) == 2
    assert "clickhouse, clickhouse-old" in capsys.readouterr().err
