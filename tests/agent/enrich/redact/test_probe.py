# SPDX-License-Identifier: Apache-2.0
"""Expressions that hang are found before they can."""

import re
import time

import pytest

from agent.enrich.redact.probe import slow_text

EXPONENTIAL = [
    r"(a+)+$",
    r"(\w+\s?)*$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(x+x+)+y",
    r"(?:foo|foobar|foo.*)+!",
]
QUADRATIC = [r"[a-z]+@", r"pass.*word.*x", r"a(?=.*z)"]
LINEAR = [r"corp_[a-z]{20}", r"(?<!\w)eyJ[\w-]{8,}(?:\.[\w-]*){2}", r"x[^\0]{0,200}y"]


@pytest.mark.parametrize("expression", EXPONENTIAL + QUADRATIC)
def test_an_expression_that_backtracks_without_bound_is_found(expression: str) -> None:
    start = time.monotonic()
    assert slow_text(re.compile(expression))
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("expression", LINEAR)
def test_an_expression_whose_time_grows_with_the_text_passes(expression: str) -> None:
    assert slow_text(re.compile(expression)) is None


def test_texts_that_the_rule_is_meant_for_are_repeated() -> None:
    expression = re.compile(r":/[^:]*:[^@]*@")
    assert slow_text(expression, [":/me:secret@host"])


def test_a_pattern_for_whole_values_is_not_searched_for() -> None:
    expression = re.compile(r"[^:]*:.+")
    assert slow_text(expression, whole=True) is None
