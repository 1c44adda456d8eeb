# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.literals import cover_of, texts_of_pattern
from agent.detect.patterns import Refused, search
from tests.agent.detect.sigma_rules import rule


def cover(detection: str) -> dict[str, list[str]] | None:
    found = cover_of(rule(detection).condition)
    return None if found is None else {field: sorted(texts) for field, texts in found.items()}


def test_of_an_and_the_most_telling_part_is_looked_for() -> None:
    detection = "a: {CommandLine|contains: ' -e ', Image|endswith: [/nc, /ncat]}\ncondition: a"
    assert cover(detection) == {"Image": ["/nc\0", "/ncat\0"]}


def test_of_an_or_all_parts_are_looked_for() -> None:
    detection = "a: {Image: /bin/x}\nb: {CommandLine|startswith: foo}\ncondition: a or b"
    assert cover(detection) == {"Image": ["\0/bin/x\0"], "CommandLine": ["\0foo"]}


@pytest.mark.parametrize(
    "detection",
    [
        "a: {Image: x}\nb: {ProcessId|gt: 1}\ncondition: a or b",
        "a: {Image: x}\ncondition: not a",
        "a: {CommandLine|re: '[a-z]+'}\ncondition: a",
    ],
)
def test_where_anything_may_match_there_is_nothing_to_look_for(detection: str) -> None:
    assert cover(detection) is None


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("foo", {"foo"}),
        ("(?i)FOO", {"foo"}),
        ("a(bc|de)f", {"abcf", "adef"}),
        ("n(c|cat|etcat)", {"nc", "netcat"}),
        (r"(?:^|/)(nc|ncat)\s", {"nc"}),
        (r"(-t\s*1|--target[= ]1)", {"-t"}),
        (r"/(usr|opt)/.*\.(py|pl)$", {".py", ".pl"}),
        (r"\s-[ce]\s.*[a-z]", {"-c", "-e"}),
        (r"curl.*[:/]", {"curl"}),
        ("foo|barbar", {"foo", "barbar"}),
        ("(?:foo)?barbar", {"barbar"}),
        ("foo{2,3}", {"foo"}),
        ("fo[o-z]", {"fo"}),
        ("(foo|)", None),
        (r"\bcurl\b.*\|\s*sh", {"curl"}),
        ("[[:alpha:]]foo", None),
        (r"\pLfoo", None),
        ("é", None),
    ],
)
def test_texts_of_an_expression(pattern: str, texts: set[str] | None) -> None:
    found = texts_of_pattern(pattern)
    assert found == (frozenset(texts) if texts else None)


tokens = st.sampled_from(
    [
        "a",
        "b",
        "AB",
        "x",
        "(",
        ")",
        "|",
        "?",
        "*",
        "+",
        ".",
        "[ab]",
        r"\w",
        "{2}",
        "{0,1}",
        "(?i:",
        "^",
        "$",
        r"\b",
        "[:x]",
        "[^a]",
    ]
)


@settings(max_examples=1000)
@given(st.lists(tokens, max_size=9).map("".join), st.text("abxAB ", max_size=12))
def test_where_an_expression_is_found_one_of_its_texts_stands(pattern: str, text: str) -> None:
    try:
        found = search(pattern, text)
    except Refused:
        return
    texts = texts_of_pattern(pattern)
    assert not found or texts is None or any(one in text.casefold() for one in texts)
