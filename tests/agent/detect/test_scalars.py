# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.detect.documents import documents
from agent.detect.scalars import number_of, plain_detection


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("a: 22", 22),
        ("a|neq: 22", 22),
        ("a|contains: 22", "22"),
        ("a: 1.50", "1.50"),
        ("a: 2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("a: yes", True),
        ("a|contains: yes", "yes"),
        ("a|contains|all: [no, 5, x]", ["no", "5", "x"]),
        ("a|gte: '5'", 5),
        ("a|hour: 'x'", "x"),
        ("a|exists: 'no'", False),
        ("a: null", None),
    ],
)
def test_values_become_what_their_modifiers_take(entry: str, value: Any) -> None:
    [item] = documents(f"sel: {{{entry}}}\ncondition: sel\n".encode())
    assert list(plain_detection(item)["sel"].values()) == [value]
    assert type(next(iter(plain_detection(item)["sel"].values()))) is type(value)


def test_keywords_are_what_is_written() -> None:
    [item] = documents(b"words: [0x10, 1.0, x]\nlist: [{a|re: 5}]\ncondition: words\n")
    assert plain_detection(item) == {
        "words": ["0x10", "1.0", "x"], "list": [{"a|re": "5"}], "condition": "words",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), ("-5", -5), ("5.5", 5.5), ("1e3", 1000.0), (".5", 0.5)]
)
def test_numbers_are_read_as_people_write_them(text: str, number: float) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    "text", ["", "1_0", " 5", "5 ", "inf", "nan", "0x5", "\u0665", "5" * 40, "--5", "e3"]
)
def test_other_texts_are_no_numbers(text: str) -> None:
    assert number_of(text) is None
