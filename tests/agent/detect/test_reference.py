# SPDX-License-Identifier: Apache-2.0
"""The engine against the reference: SigmaHQ's rules, the library's, and rules made at random.

TRACEHOUND_EVENTS says how many random events are compared.
"""

import os
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agent.detect.conditions import checks_of
from agent.detect.engine import Engine
from agent.detect.evaluate import holds
from agent.detect.fold import fold
from agent.detect.rules import read_rules
from tests.agent.detect.random_events import pair, plain, rules
from tests.agent.detect.reference import Verdict, reference
from tests.agent.detect.sigma_rules import exec_of, hits

EVENTS = int(os.environ.get("TRACEHOUND_EVENTS", "1000"))
_BATCH = 50
NAMES = ("Image", "CommandLine", "Terminal")
TEXTS = ("", "a", "ab", "A", "*", "a*b", "?", "\\*", "/x", "b a", "*a?", "\u03a3", "%", "\\\\*", "\u0130")
EXPRESSIONS = ("a", "^a.?b$", "(?i)B", "[ab]+/", r"\*", r"\bx", "a{2}|^$", "[^a]", r"\S\s")
KEYS = (
    "{}",
    "{}|contains",
    "{}|startswith",
    "{}|endswith",
    "{}|contains|all",
    "{}|cased",
    "{}|contains|cased",
)
CONDITIONS = (
    "a", "not a", "a and b", "a or not b", "not (a and b)", "1 of them", "all of them", "a and not not b",
)  # fmt: skip


@cache
def engine() -> Engine:
    return Engine(rules())


@cache
def verdicts() -> dict[str, Verdict]:
    return {rule.id: reference(rule.path) for rule in rules()}


@settings(
    max_examples=max(1, EVENTS // _BATCH),
    deadline=None,
    phases=[Phase.generate],  # there is nothing smaller than a seed
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.integers(0, 2**63))
def test_verdicts_are_those_of_the_reference(seed: int) -> None:
    choose = random.Random(seed)
    for number in range(_BATCH):
        parent, child = pair(choose, number)
        engine().learn(parent)
        found = {hit.rule.id for hit in engine().feed(child)}
        fields = plain(parent, child)
        assert found == {name for name, holds_for in verdicts().items() if holds_for(fields)}, fields


def items(fields: tuple[str, ...]) -> st.SearchStrategy[dict[str, list[str]]]:
    """A search identifier: fields with modifiers, and values."""
    texts = st.tuples(st.sampled_from([key.format(name) for key in KEYS for name in fields]),
                      st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4))  # fmt: skip
    expressions = st.tuples(st.sampled_from([f"{name}|re" for name in fields]),
                            st.lists(st.sampled_from(EXPRESSIONS), min_size=1, max_size=2))  # fmt: skip
    return st.lists(st.one_of(texts, expressions), min_size=1, max_size=3).map(dict)


KEYWORDS = st.lists(st.sampled_from([text for text in TEXTS if text.strip("*?")]), min_size=1, max_size=3)
VALUES = st.text("abA *?/\\\u03c3\u03c2%\u0130", max_size=8)


@settings(max_examples=max(200, EVENTS // 20), deadline=None)
@given(
    a=items(NAMES),
    b=st.one_of(items(NAMES), KEYWORDS),
    condition=st.sampled_from(CONDITIONS),
    texts=st.lists(VALUES, min_size=3, max_size=3),
)
def test_rules_made_at_random_are_those_of_the_reference(
    a: Any, b: Any, condition: str, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.yml"
    detection = {"a": a, "b": b, "condition": condition}
    logsource = {"product": "linux", "category": "process_creation"}
    path.write_text(yaml.safe_dump({"title": "t", "logsource": logsource, "detection": detection}))
    found = read_rules([path])
    assert not found.problems, found.problems
    fields = {name: [text] for name, text in zip(NAMES, texts, strict=True) if text}
    wanted = reference(path)(fields)
    every = [value for values in fields.values() for value in values]
    node = fold(found.rules[0].condition, "process_creation")
    assert wanted == (
        node if isinstance(node, bool) else holds(node, lambda name: fields.get(name, ()) if name else every)
    )
    if all(texts) and "" not in {match.check.field for match in checks_of(found.rules[0].condition)}:
        assert wanted == bool(hits(found.rules, exec_of(texts[1], binary=texts[0], tty=texts[2])))


def test_the_reference_can_say_no(tmp_path: Path) -> None:
    path = tmp_path / "rule.yml"
    path.write_text(
        "title: t\nlogsource: {product: linux}\ndetection: {a: {Image|endswith: /x}, condition: a}\n"
    )
    assert reference(path)({"Image": ["/bin/X"]}) and not reference(path)({"Image": ["/bin/y"]})
