# SPDX-License-Identifier: Apache-2.0
"""Records of rules and their examples."""

import pytest

from agent.enrich.redact.rules import MARKER, MARKER_LENGTH, expand_example, small_letters, without_marks


@pytest.mark.parametrize(
    ("example", "expanded"),
    [
        ("x=«AKIA<U16>»", "x=«AKIAA2B3C4D5E6F7G2H3»"),
        ("«<h20>»", "«0123456789abcdef0123»"),
        ("a<\\0>«<4>»", "a\0«Ab0C»"),
        ("a < b <x>", "a < b <x>"),
    ],
)
def test_placeholders_of_an_example_are_filled_in(example: str, expanded: str) -> None:
    assert expand_example(example) == expanded


def test_an_example_without_its_marks_is_what_a_process_has() -> None:
    assert without_marks("--password=«x»") == "--password=x"


def test_a_marker_is_as_long_as_it_says() -> None:
    assert MARKER.fullmatch("redacted:0123456789abcdef")
    assert len("redacted:0123456789abcdef") == MARKER_LENGTH


def test_small_letters_are_as_many_as_before() -> None:
    assert small_letters("PassWord İ É") == "password İ É"
