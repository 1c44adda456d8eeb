# SPDX-License-Identifier: Apache-2.0
"""Parts of a text."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.enrich.redact.spans import hidden, markers_in, merged, pieces, replaced

MARKER = "redacted:0123456789abcdef"
SPANS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)).map(lambda s: (s[0], s[0] + s[1])))


def test_parts_are_replaced_in_their_places() -> None:
    assert replaced("abcdef", [(1, 2), (4, 6)], str.upper) == "aBcdEF"


def test_hidden_parts_leave_the_text_as_long_as_before() -> None:
    assert hidden("abc", [(0, 2)]) == "\ue000\ue000c"
    assert hidden("abc", []) == "abc"


@given(SPANS)
def test_merged_spans_cover_the_same_and_stand_apart(spans: list[tuple[int, int]]) -> None:
    found = list(merged(spans))
    assert {i for span in found for i in range(*span)} == {i for span in spans for i in range(*span)}
    assert all(first[1] < second[0] for first, second in pairwise(found))


def test_a_span_is_taken_apart_where_arguments_end() -> None:
    assert list(pieces("ab\0\0cd", (1, 6), [])) == [(1, 2), (4, 6)]


def test_a_span_around_an_earlier_marker_is_dropped() -> None:
    text = f"x{MARKER}y z"
    markers = markers_in(text)
    assert markers == [(1, 26)]
    assert list(pieces(text, (0, 28), markers)) == []
    assert list(pieces(text, (17, 26), markers)) == []
    assert list(pieces(text, (26, 27), markers)) == [(26, 27)]
    assert list(pieces(text, (0, 1), markers)) == [(0, 1)]
