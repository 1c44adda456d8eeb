# SPDX-License-Identifier: Apache-2.0
"""Automata find what Python's re finds."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.policy.automaton import (
    ENTRIES_MOST,
    LITERAL_FITS,
    Automaton,
    TooLarge,
    build_automaton,
    explain_pattern,
    join,
)
from agent.policy.operators import Pattern

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\.", "ab", r"\d", "(?:a|bc)", "(a|)"])
PIECES = st.builds(
    lambda atom, sign: f"(?:{atom}){sign}", ATOMS, st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}"])
)
PATTERNS = st.builds(
    lambda begin, pieces, end: begin + "".join(pieces) + end,
    st.sampled_from(["", "^"]),
    st.lists(PIECES, min_size=1, max_size=4),
    st.sampled_from(["", "$"]),
)
TEXTS = st.lists(st.text("abc.1", max_size=8), min_size=5, max_size=15)


def run(automaton: Automaton, text: str, state: int = 0) -> int:
    for byte in text.encode():
        state = automaton.next[state * automaton.classes + automaton.class_of[byte]]
    return automaton.hits[state]


@settings(deadline=None, max_examples=150, derandomize=True, database=None)
@given(st.lists(st.lists(PATTERNS, min_size=1, max_size=2), min_size=1, max_size=3), TEXTS)
def test_constraints_hold_where_re_finds_one_of_their_patterns(
    constraints: list[list[str]], texts: list[str]
) -> None:
    automaton = build_automaton([[Pattern("Regex", text) for text in one] for one in constraints])
    for text in texts:
        held = [any(re.search(p.replace("$", r"\Z"), text) for p in one) for one in constraints]
        assert run(automaton, text) == sum(1 << at for at, holds in enumerate(held) if holds)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [("Prefix", "xab", 0), ("Prefix", "ab.x", 1), ("Postfix", "xab.", 1), ("Postfix", "ab.x", 0)],
)
def test_long_prefixes_and_postfixes_are_found_at_their_edge(kind: str, text: str, expected: int) -> None:
    assert run(build_automaton([[Pattern(kind, "ab.")]]), text) == expected


def test_an_automaton_is_built_once_for_the_same_constraints() -> None:
    first, other = (build_automaton([[Pattern("Regex", text)]]) for text in ("kept+", "kep+t"))
    assert build_automaton([[Pattern("Regex", "kept+")]]) is first
    assert other != first


def test_case_is_ignored_where_it_is_asked() -> None:
    automaton = build_automaton([[Pattern("SubStringIgnCase", "PaSs")], [Pattern("SubString", "PaSs")]])
    assert [run(automaton, text) for text in ("xpassx", "PaSs", "pas")] == [1, 3, 0]


def test_joined_automata_run_from_their_own_starts() -> None:
    parts = [build_automaton([[Pattern("Regex", text)]]) for text in ("^a+b$", "[0-9]", "b|c")]
    joined, starts = join(parts)
    for text in ("aab", "7", "xcx", "zz", ""):
        found = [run(joined, text, start) for start in starts]
        assert found == [run(part, text) for part in parts]


def test_many_alternatives_of_one_constraint_stay_small() -> None:
    automaton = build_automaton([[Pattern("SubString", f"word{n}x") for n in range(200)]])
    assert run(automaton, "a word177x here") == 1
    assert len(automaton.hits) < 500


@pytest.mark.parametrize("kind", ["Prefix", "Postfix", "SubString", "SubStringIgnCase"])
def test_short_texts_are_called_good_because_the_worst_of_them_is(kind: str) -> None:
    worst = Pattern(kind, "".join(chr(n) for n in range(1, 128)) + "é" * ((LITERAL_FITS - 127) // 2))
    assert explain_pattern(worst) == ""
    assert len(build_automaton([[worst]]).next) < ENTRIES_MOST


def test_long_texts_of_many_bytes_are_refused_by_name() -> None:
    text = "".join(chr(n) for n in range(1, 500))
    assert "needs more than" in explain_pattern(Pattern("SubString", text))


def test_a_pattern_that_explodes_is_refused_by_name() -> None:
    pattern = Pattern("Regex", "a.{15}$")
    with pytest.raises(TooLarge):
        build_automaton([[pattern]])
    assert explain_pattern(pattern).startswith("`a.{15}$` needs more than")
    assert explain_pattern(Pattern("Regex", "a+")) == ""
