# SPDX-License-Identifier: Apache-2.0
"""Rules from files: the built-in ones, further ones, and wrong ones."""

import time
from pathlib import Path

import pytest

from agent.enrich.redact.load import load_rules
from agent.enrich.redact.probe import slow_text
from agent.enrich.redact.rules import PatternRule, Rules, without_marks
from agent.enrich.redaction import Redactor
from agent.errors import SettingsError

BUILT_IN = load_rules()
OWN = """\
format: 1
names:
  - words: [kennwort]
    unless: 'geheim'
patterns:
  - name: corp
    begins: [corp_]
    pattern: 'corp_[a-z]{8}'
    examples: ['x «corp_abcdefgh»']
commands:
  - commands: [corpctl]
    separate: [-s]
ignore_names: [CORP_TOKEN]
ignore_values: ['dummy']
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own.yaml"


def problems(file: Path, content: str) -> list[str]:
    file.write_text("format: 1\n" + content)
    with pytest.raises(SettingsError) as caught:
        load_rules([file])
    assert "docs/redaction.md" in caught.value.hint
    return [problem.removeprefix(f"{file.parent}/") for problem in caught.value.problems]


def test_every_built_in_rule_has_an_example() -> None:
    rules = (*BUILT_IN.names, *BUILT_IN.commands, *BUILT_IN.patterns)
    assert [rule.origin for rule in rules if not rule.examples] == []


@pytest.mark.parametrize("rule", BUILT_IN.patterns, ids=lambda rule: rule.name)
def test_no_built_in_pattern_hangs(rule: PatternRule) -> None:
    seeds = (*rule.begins, *rule.keywords, *map(without_marks, rule.examples))
    assert slow_text(rule.pattern, seeds) is None


def test_no_built_in_expression_for_values_hangs() -> None:
    every = {rule.value for rule in BUILT_IN.commands} | {rule.positional for rule in BUILT_IN.commands}
    every |= {rule.unless for rule in BUILT_IN.names} | set(BUILT_IN.ignore_values)
    assert [p.pattern for p in every if p is not None and slow_text(p, whole=True)] == []


def test_further_rules_are_added_to_the_built_in_ones(file: Path) -> None:
    file.write_text(OWN)
    redactor = Redactor(load_rules([file]), bytes(32))
    secret, token = redactor.replacement("x"), redactor.replacement("corp_abcdefgh")
    assert redactor.redact_arguments(["--kennwort=x", "corp_abcdefgh"]) == [f"--kennwort={secret}", token]
    assert redactor.redact_arguments(["corpctl", "-s", "x"]) == ["corpctl", "-s", secret]
    clean = ["--kennwort=geheim", "CORP_TOKEN=x", "--password=DUMMY"]
    assert redactor.redact_arguments(clean) is clean
    assert redactor.redact_arguments(["--password=x"]) == [f"--password={secret}"]


def test_a_later_rule_for_a_word_replaces_an_earlier_one(file: Path) -> None:
    file.write_text("format: 1\nnames:\n  - {words: [password], unless: 'public'}\n")
    redactor = Redactor(load_rules([file]), bytes(32))
    clean = ["--password=public"]
    assert redactor.redact_arguments(clean) is clean
    assert redactor.redact_arguments(["--password=x"]) != ["--password=x"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "patterns:\n  - name: x\n    pattern: '('\n    begins: [x]",
            "own.yaml:4: bad regular expression '('",
        ),
        ("patterns:\n  - name: x\n    pattern: 'x'", "own.yaml:3: one of the keys 'begins' and 'keywords'"),
        ("patterns:\n  - pattern: 'x'\n    begins: [x]", "own.yaml:3: key 'name' is missing"),
        ("patern:\n  - x", "own.yaml:2: unknown key 'patern'; did you mean 'patterns'?"),
        ("names:\n  - word: [x]\n    words: [y]", "own.yaml:3: unknown key 'word'; did you mean 'words'?"),
        ("names:\n  - words: [Kennwort]", "own.yaml:3: 'Kennwort': words and keywords are written in small"),
        ("names:\n  - words: [пароль]", "own.yaml:3: 'пароль': words and keywords are written in small"),
        ("names: x", "own.yaml:2: a list with at least one item is expected"),
        ("names:\n  - x", "own.yaml:3: a mapping is expected, with the keys words, whole, unless"),
        ("ignore_values: ['(']", "own.yaml:2: bad regular expression '('"),
        (
            "patterns:\n  - {name: x, pattern: 'xy', begins: [x], examples: ['z']}",
            "own.yaml:3: the pattern of 'x' does not match 'z'",
        ),
        (
            "patterns:\n  - {name: x, pattern: 'xy', keywords: [z], examples: ['xy']}",
            "own.yaml:3: none of the keywords of 'x' stands in 'xy'",
        ),
        (
            "patterns:\n  - {name: x, pattern: '.xy', begins: [x], examples: ['axy']}",
            "own.yaml:3: 'axy' begins with nothing that 'x' names in 'begins'",
        ),
    ],
)
def test_a_wrong_rule_is_named_by_file_and_line(file: Path, content: str, problem: str) -> None:
    (said,) = problems(file, content)
    assert said.startswith(problem)


def test_another_format_is_refused(file: Path) -> None:
    file.write_text("format: 2\n")
    with pytest.raises(SettingsError, match="format '2' is not known; this is format 1"):
        load_rules([file])


@pytest.mark.parametrize(
    "rule",
    [
        "patterns:\n  - {name: x, begins: [x], pattern: '(x+)+y'}",
        "patterns:\n  - {name: x, begins: [x], pattern: 'x.*y.*z', examples: ['«xyz»']}",
        "commands:\n  - {commands: [c], attached: [-p], value: '(a|a)*b'}",
        "names:\n  - {words: [x], unless: '(a*)*b'}",
    ],
)
def test_an_expression_that_could_hang_is_refused_quickly(file: Path, rule: str) -> None:
    start = time.monotonic()
    (said,) = problems(file, rule)
    assert said.startswith("own.yaml:3: ") and "takes too long on a text like" in said
    assert time.monotonic() - start < 20


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("format: 1\nnames:\n  - {}\n  - {words: [X]}\n")
    (tmp_path / "b.yaml").write_text("zzz: 1\n")
    with pytest.raises(SettingsError) as caught:
        load_rules([tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"])
    assert [problem.removeprefix(f"{tmp_path}/")[:8] for problem in caught.value.problems] == [
        "a.yaml:3",
        "a.yaml:4",
        "b.yaml:1",
        "b.yaml:1",
        "c.yaml: ",
    ]


def test_no_rules_at_all_find_nothing() -> None:
    clean = ["--password=x", "ghp_" + "a" * 36]
    assert Redactor(Rules(), bytes(32)).redact_arguments(clean) is clean
