# SPDX-License-Identifier: Apache-2.0
"""Problems, and hints at what was meant."""

from __future__ import annotations

from agent.policy.model import Where
from agent.policy.report import MOST_PROBLEMS, Report, nearest


def test_a_problem_is_told_once_however_often_it_is_met() -> None:
    report, where = Report(), Where("f", 3, "spec")
    report.error(where, "wrong")
    report.error(where, "wrong")
    assert (len(report.problems()), report.errors) == (1, 2)


def test_problems_stand_in_the_order_of_their_lines() -> None:
    report = Report()
    for line in (9, 2, 5):
        report.warn(Where("f", line, ""), "x")
    assert [problem.where.line for problem in report.problems()] == [2, 5, 9]
    assert report.errors == 0


def test_too_many_problems_end_with_their_number() -> None:
    report = Report()
    for line in range(MOST_PROBLEMS + 7):
        report.error(Where("f", line, ""), "x")
    assert len(report.problems()) == MOST_PROBLEMS + 1
    assert report.problems()[-1].text == "7 more problems follow"


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert nearest("sigKil", ("Post", "Sigkill")) == 'did you mean "Sigkill"?'
    assert nearest("zzz", ("b", "a")) == "one of: a, b"
    assert nearest("zzz", map(str, range(99))) == ""
