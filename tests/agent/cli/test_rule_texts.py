# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.cli.color import PLAIN
from agent.cli.rule_texts import aligned, good_rules, problem_json, problem_lines, rules_of
from agent.errors import UsageError
from tests.agent.cli.rules import ID, write_rule


def test_rules_are_named_by_file_directory_or_as_those_of_the_library(tmp_path: Path) -> None:
    path = write_rule(tmp_path)
    assert [one.id for one in rules_of([str(path)]).rules] == [ID]
    assert [one.id for one in rules_of([str(tmp_path)]).rules] == [ID]
    by_name = rules_of(["netcat-exec"]).rules
    assert by_name and rules_of([by_name[0].id]).rules == by_name
    assert len(rules_of([]).rules) > 60


def test_a_name_that_is_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no rule of the library"):
        rules_of(["unheard-of"])


def test_what_is_wrong_is_told_and_the_others_are_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rule(tmp_path)
    (tmp_path / "bad.yaml").write_text("title: x\n")
    assert [one.id for one in good_rules([str(tmp_path)])] == [ID]
    assert "bad.yaml:1" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no rule that can be used"):
        good_rules([str(tmp_path / "bad.yaml")])


def test_problems_come_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("title: x\n")
    problem = rules_of([str(tmp_path)]).problems[0]
    text = "\n".join(problem_lines(problem, PLAIN))
    assert f"wrong {tmp_path}/bad.yaml:1" in text and problem.hint in text
    assert problem_json(problem)["line"] == 1


def test_tables_are_aligned() -> None:
    assert list(aligned([("A", "B"), ("long", "x")], PLAIN)) == ["A     B", "long  x"]
