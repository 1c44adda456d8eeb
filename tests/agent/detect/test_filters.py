# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.detect.rules import RuleSet
from tests.agent.detect.sigma_rules import exec_of, hits, read_text

ID = "0d1b6b0e-6d2d-4a8b-8f4e-0d1b6b0e6d2d"
RULE = f"""
title: Netcat
id: {ID}
name: netcat
logsource: {{product: linux, category: process_creation}}
detection: {{sel: {{Image|endswith: /nc}}, condition: sel}}
---
"""


def _filtered(rules: str, logsource: str = "{product: linux}", condition: str = "not fp") -> RuleSet:
    body = f"{{rules: {rules}, fp: {{CommandLine|contains: backup}}, condition: {condition}}}"
    return read_text(f"{RULE}title: Known\nlogsource: {logsource}\nfilter: {body}\n")


@pytest.mark.parametrize("rules", [f"[{ID}]", f"[{ID.upper()}]", "[netcat]", "netcat", "any", "[x, Netcat]"])
def test_a_filter_narrows_the_rules_that_it_names(rules: str) -> None:
    [rule] = _filtered(rules).rules
    assert hits(rule, exec_of("/bin/nc", "-l")) and not hits(rule, exec_of("/bin/nc", "backup"))
    [bare] = read_text(RULE).rules
    assert rule.version != bare.version and rule.id == bare.id


def test_a_condition_without_not_leaves_what_it_says() -> None:
    [rule] = _filtered("any", condition="fp").rules
    assert hits(rule, exec_of("/bin/nc", "backup")) and not hits(rule, exec_of("/bin/nc", "-l"))


@pytest.mark.parametrize(
    ("rules", "logsource"), [("[other]", "{product: linux}"), ("[netcat]", "{category: file_event}")]
)
def test_a_filter_for_no_rule_is_told(rules: str, logsource: str) -> None:
    found = _filtered(rules, logsource)
    [problem] = found.problems
    assert "for no rule" in problem.message and problem.line == 8 and problem.is_refusal
    assert hits(found.rules[0], exec_of("/bin/nc", "backup"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{fp: {Image: x}, condition: not fp}", "for which rules"),
        ("{rules: [[x]], fp: {Image: x}, condition: not fp}", "for which rules"),
        ("x", "for which rules"),
        ("{rules: any, fp: {Image|foo: x}, condition: not fp}", "unknown modifier"),
        ("{rules: any, fp: {Image: x}, condition: not other}", "no search identifier"),
        ("{rules: any, fp: {Image: x}}", "condition"),
    ],
)
def test_what_is_wrong_with_a_filter_is_told_and_the_rule_stays(body: str, message: str) -> None:
    found = read_text(f"{RULE}title: Known\nlogsource: {{product: linux}}\nfilter: {body}\n")
    assert message in found.problems[0].message and found.problems[0].rule == "Known"
    assert len(found.rules) == 1
