# SPDX-License-Identifier: Apache-2.0
"""The quick look that says: no secret here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.enrich.redact.load import load_rules
from agent.enrich.redact.prefilter import keywords, prefilter
from agent.enrich.redact.rules import CommandRule, Rules, without_marks

RULES = load_rules()
FIND = prefilter(RULES)
KEYWORDS = sorted(keywords(RULES))
COMMANDS = sorted({name.lower() for rule in RULES.commands for name in rule.commands})


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_every_keyword_is_found_wherever_it_stands(keyword: str) -> None:
    assert FIND.search(keyword) and FIND.search(f"aa{keyword}") and FIND.search(f"-- {keyword}zz")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_found_where_its_name_ends(command: str) -> None:
    assert FIND.search(f"/bin/{command}\0-x") and FIND.search(f"sudo {command} -x") and FIND.search(command)


def test_every_example_is_suspicious() -> None:
    rules = (*RULES.names, *RULES.commands, *RULES.patterns)
    examples = [without_marks(example).lower() for rule in rules for example in rule.examples]
    assert [example for example in examples if not FIND.search(example)] == []


@given(st.lists(st.sampled_from([*KEYWORDS, *"abcdefghijklmnopqrstuvwxyz-_/ \0.:="]), max_size=12))
def test_it_finds_what_a_plain_search_finds(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert bool(FIND.search(text)) >= any(keyword in text for keyword in KEYWORDS)


@pytest.mark.parametrize(
    "line",
    [
        "ls\0-l",
        "git\0status\0--short",
        "/usr/bin/python3\0-m\0pytest\0-q",
        "sh\0-c\0echo hello",
        "curling\0x",
    ],
)
def test_an_ordinary_command_line_is_clean(line: str) -> None:
    assert FIND.search(line) is None


def test_a_command_counts_as_a_word_of_its_own() -> None:
    find = prefilter(Rules(commands=(CommandRule(commands=("7z", "7za")),)))
    assert find.search("7z\0x") and find.search("7za") and not find.search("7zip")


def test_without_rules_nothing_is_suspicious() -> None:
    assert prefilter(Rules()).search("password") is None
