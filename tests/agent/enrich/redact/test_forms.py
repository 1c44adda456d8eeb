# SPDX-License-Identifier: Apache-2.0
"""Secrets known by their form."""

import re

import pytest

from agent.enrich.redact.forms import known_forms
from agent.enrich.redact.load import load_rules
from agent.enrich.redact.rules import PatternRule, small_letters

RULES = {rule.name: rule for rule in load_rules().patterns}


def found(rule: PatternRule, text: str) -> list[str]:
    """What this rule finds in these joined arguments."""
    return [text[slice(*span)] for span in known_forms(rule, text, small_letters(text))]


@pytest.mark.parametrize(
    ("rule", "text", "secrets"),
    [
        ("url-password", "a://u:x@h b://v:y@h", ["x", "y"]),
        ("url-password", "a://u:p@ss@h/p?q=c@d", ["p@ss"]),
        ("url-password", "http://h:8080/a@b http://h/x?q=a@b http://me@h/ http://[::1]:80/a@b", []),
        ("url-password", "me@h:path git@github.com:o/r.git", []),
        ("url-password-encoded", "http%3a%2f%2fu%3ax%40h", ["x"]),
        ("authorization", "Authorization: Bearer abc", ["abc"]),
        ("authorization", "authorization: abc", ["abc"]),
        ("authorization", 'Authorization: Digest username="x"', []),
        ("authorization-parameters", 'Authorization: Digest username="x"\0y', ['username="x"']),
        ("pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", []),
        ("domain-user-password-host", "library/nginx:1.25@sha256:abcdef", []),
        ("aws-key-id", "AKIAABCDEFGHIJKLMNO AKIAABCDEFGHIJKLMNOPQ", []),
        ("jwt", "eyJhbGciOi.x eyJ.x", []),
        ("pypi", "pypi-agent", []),
        ("cookie", "cookie monster", []),
        ("sql-password", "PASSWORD 'a b' IDENTIFIED BY \"c\"", ["c", "a b"]),
        ("piped-password", "echo hello | wc", []),
    ],
)
def test_a_rule_finds_its_form_and_nothing_else(rule: str, text: str, secrets: list[str]) -> None:
    assert found(RULES[rule], text) == secrets


def test_a_match_begins_where_the_rule_says_in_whatever_case() -> None:
    rule = PatternRule(name="x", pattern=re.compile("(?i:ab)c"), begins=("ab",))
    assert found(rule, "xabc ABc aBc abx") == ["abc", "ABc", "aBc"]


def test_without_beginnings_the_pattern_is_searched_everywhere() -> None:
    rule = PatternRule(name="x", pattern=re.compile("[0-9]{3}(?P<secret>x+)"), keywords=("x",))
    assert found(rule, "123xx 45x 678x") == ["xx", "x"]
