# SPDX-License-Identifier: Apache-2.0
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.detect import expressions
from agent.detect.engine import Engine
from agent.detect.expressions import Expressions
from tests.agent.detect.sigma_rules import exec_of, hits, rule

PATTERNS = ("a+b", "^b", "(?i)B$", r"\s[ab]{2,}", "", "b.*a.*b", r"[^ab ]\b")
ALL = Expressions(PATTERNS)
RULES = [
    rule(f"sel: {{'CommandLine|re': 'x{number}+y', User: root}}\ncondition: sel", title=f"rule {number}")
    for number in range(expressions.FEWEST + 2)
]


@pytest.fixture(scope="module", autouse=True)
def unhurried() -> Iterator[None]:
    """On a busy machine a set may seem slow, and rests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expressions, "SLOW_NS", 1 << 60)
        yield


@given(st.text("abB c\n", max_size=12))
def test_together_they_find_what_each_of_them_does(text: str) -> None:
    found = ALL.found_in(text)
    assert found is not None
    alone = {at for at, one in enumerate(PATTERNS) if re.search(one.replace("$", r"\Z"), text, re.ASCII)}
    assert set(found) - {len(PATTERNS)} == alone == {at for at in range(len(PATTERNS)) if ALL.holds(at, text)}


def test_of_several_values_one_has_to_fit() -> None:
    assert {0, 1} <= set(ALL.found_in(("ab", "b")) or ()) and not ALL.found_in(None)
    assert ALL.holds(1, ("a", "b")) and not ALL.holds(1, ("a", "c"))


@pytest.mark.parametrize("text", ["ab" * expressions.LONGEST, "\ud800ab"])
def test_what_a_set_does_not_take_is_asked_one_by_one(text: str) -> None:
    assert ALL.found_in(text) is None and ALL.found_in(("a", text)) is None and ALL.holds(0, text)


def test_a_set_that_is_slow_rests_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "SLOW_NS", -1)
    monkeypatch.setattr(expressions, "RESTS", 2)
    some = Expressions(PATTERNS)
    assert [some.found_in("b") is None for _ in range(4)] == [False, True, True, False]


def test_no_answer_of_a_set_is_not_taken_for_none_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class GivesUp:
        """RE2 out of memory: re2/set.h, Match() returns false."""

        def Match(self, text: str) -> list[int]:
            return []

    some = Expressions(PATTERNS)
    monkeypatch.setattr(some, "_set", GivesUp())
    assert some.found_in("ab") is None


@pytest.mark.parametrize("padding", ["", "z" * expressions.LONGEST])
def test_rules_with_many_expressions_are_told_apart(padding: str) -> None:
    found = hits(RULES, exec_of(f"x1y {padding}", "x3xy x3y"))
    assert [hit.rule.title for hit in found] == ["rule 1", "rule 3"]
    assert "X" in Engine(RULES)._matchers["process_creation"][0].source_text
