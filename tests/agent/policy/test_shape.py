# SPDX-License-Identifier: Apache-2.0
"""Forms of values, by what they refuse."""

from __future__ import annotations

import pytest

from agent.policy.document import read_documents
from agent.policy.model import Where
from agent.policy.report import Report
from agent.policy.shape import Flag, Kind, List, Map, Number, Object, Part, Text, Word


def read(kind: Kind, text: str) -> tuple[object, list[str]]:
    report = Report()
    (document,) = read_documents(text, "f", report)
    value = kind.read(document.root, Where("f", document.root.line, "p"), report)
    return value, [f"{p.where.line} {p.where.path}: {p.text} ({p.hint})" for p in report.problems()]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Text(), "abc", "abc"),
        (Text(is_loose=True), "0x1f", "0x1f"),
        (Flag(), "no", False),
        (Number(), "0x10", 16),
        (Number(), "0o17", 15),
        (Number(-9, 9, {"EPERM": 1}), "-EPERM", -1),
        (Word(("a", "b")), "b", "b"),
    ],
)
def test_what_fits_is_read(kind: Kind, text: str, value: object) -> None:
    assert read(kind, text) == (value, [])


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (Text(), "5", 'write it in quotes: "5"'),
        (Text(), "[a]", "is a list, expected text"),
        (Text(3, 4), "ab", "allowed are 3 to 4"),
        (Text(pattern="a+", form="a word of a"), "b", "b is not a word of a"),
        (Flag(), '"true"', "expected true or false"),
        (Number(), '"5"', "write digits without quotes"),
        (Number(), "1.5", "expected a whole number"),
        (Number(0, 4), "5", "allowed are 0 to 4"),
        (Number(0, 4, {"SIGKILL": 9}), "SIGKIL", 'did you mean "SIGKILL"?'),
        (Word(("In", "NotIn")), "Notin", 'did you mean "NotIn"?'),
        (List(Text(), 1), "[a, b]", "at most 1 are allowed"),
        (List(Text(), 1), "a", "write - a"),
        (List(Text(), 9, least=1), "[]", "at least 1 is needed"),
        (Map(Text(), 1), "{a: b, c: d}", "at most 1 are allowed"),
        (Object({"a": Text()}), "x", "one of: a"),
        (Object({"call": Text()}), "{cal: x}", 'did you mean "call"?'),
        (Object({"call": Text()}, ("call",)), "{}", "write call: …"),
    ],
)
def test_what_does_not_fit_is_told_with_the_way_out(kind: Kind, text: str, problem: str) -> None:
    assert any(problem in told for told in read(kind, text)[1])


def test_all_of_a_mapping_is_read_whatever_is_wrong_in_it() -> None:
    part, problems = read(Object({"a": Number(), "b": Text(), "c": Flag()}), "a: x\nb: y\nc: z\nd: 1\n")
    assert [problem.split(":")[0] for problem in problems] == ["1 p.a", "3 p.c", "4 p.d"]
    assert isinstance(part, Part)
    assert (part.text("b"), part.broken, part.has("a")) == ("y", {"a", "c"}, False)


def test_null_is_as_good_as_absent() -> None:
    part, problems = read(Object({"a": Number()}), "{a: null}")
    assert isinstance(part, Part)
    assert (part.has("a"), problems) == (False, [])


def test_elements_have_their_own_lines() -> None:
    leaves, _ = read(List(Text(), 9), "- a\n- b\n")
    assert isinstance(leaves, list)
    assert [(leaf.where.line, leaf.where.path) for leaf in leaves] == [(1, "p[0]"), (2, "p[1]")]


def test_an_empty_text_is_as_good_as_absent_where_it_may_be() -> None:
    known = {"a": Text(2), "b": Word(("x",)), "c": Text(1), "d": Map(Text())}
    part, problems = read(Object(known, ("c",)), "{a: '', b: '', c: '', d: {e: ''}}")
    assert isinstance(part, Part)
    kept = part.part("d")
    assert not part.has("a") and not part.has("b") and kept and kept.has("e")
    assert [problem.split(":")[0] for problem in problems] == ["1 p.c"]
