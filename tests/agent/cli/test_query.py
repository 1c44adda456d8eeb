# SPDX-License-Identifier: Apache-2.0
import json
import re
from pathlib import Path

import pytest

from agent.cli.query import EXAMPLES
from tests.agent.cli.conftest import Call
from tests.agent.store.support import session

STATEMENT = "SELECT exe, pid FROM execs ORDER BY pid"


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return session(tmp_path / "log").directory


def test_a_table_a_csv_and_json(call: Call, log_dir: Path) -> None:
    table = call("query", "--log-dir", log_dir, STATEMENT)[1]
    assert table.splitlines()[2:4] == ["/sbin/init     1", "/bin/sh        50"]
    assert call("query", "--log-dir", log_dir, STATEMENT, "-o", "csv")[1].startswith(
        "exe,pid\n/sbin/init,1\n"
    )
    rows = json.loads(call("query", "--log-dir", log_dir, STATEMENT, "-o", "json")[1])["rows"]
    assert rows[0] == {"exe": "/sbin/init", "pid": 1}


def test_json_has_no_number_that_is_none(call: Call, log_dir: Path) -> None:
    out = call("query", "--log-dir", log_dir, "SELECT 1 / 0 AS a, ['nan'::DOUBLE] AS b", "-o", "json")[1]
    assert json.loads(out, parse_constant=pytest.fail)["rows"] == [{"a": "inf", "b": ["nan"]}]


def test_the_examples_of_the_help_answer(call: Call, log_dir: Path) -> None:
    statements = re.findall(r'tracehound query "(.+?)"', EXAMPLES)
    assert len(statements) == 3
    for statement in statements:
        assert call("query", "--log-dir", log_dir, statement)[0] == 0, statement


def test_the_schema_names_views_and_columns(call: Call) -> None:
    out = call("query", "--schema")[1]
    assert "policies_events" in out and "parent_exec_id" in out


@pytest.mark.parametrize("statement", ["SELEC", "DROP VIEW events", "SELECT * FROM '/etc/passwd'"])
def test_mistakes_are_told_with_a_way_out(call: Call, log_dir: Path, statement: str) -> None:
    status, out, err = call("query", "--log-dir", log_dir, statement)
    assert (status, out) == (2, "")
    assert "hint: " in err
