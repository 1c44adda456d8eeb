# SPDX-License-Identifier: Apache-2.0
"""What of regular expressions is understood."""

import pytest

from agent.policy.regex import DIGITS, Edge, One, Repeat, Row, both_cases, chosen, literal, parse


def test_a_pattern_is_a_tree() -> None:
    assert parse("^a+$") == Row((Edge(False), Repeat(literal("a"), 1, None), Edge(True)))


def test_a_class_is_a_set_of_bytes() -> None:
    assert parse(r"[a-c\d_]") == Row((One(chosen("abc_") | DIGITS),))


def test_beyond_ascii_a_character_is_its_bytes() -> None:
    assert parse("é") == Row((literal("é"),))
    assert len(literal("é").parts) == 2


def test_a_brace_that_counts_nothing_stands_for_itself() -> None:
    assert parse("a{b") == Row((literal("a"), literal("{"), literal("b")))


def test_case_is_folded_for_letters_only() -> None:
    assert both_cases(chosen("aZ1")) == chosen("aAzZ1")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(a", r"`\)` is missing"),
        ("a)", r"unbalanced `\)`"),
        ("*a", r"`\*` repeats nothing"),
        ("a{3,1}", "the lower first"),
        ("[z-a]", "goes backwards"),
        ("[a", "missing"),
        ("[é]", "only ASCII"),
        (r"\bword", r"`\\b` is not supported"),
        ("(?=a)", "this kind of group"),
        ("[[:nope:]]", "unknown class"),
        ("a\\", "missing"),
    ],
)
def test_what_is_not_understood_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)
