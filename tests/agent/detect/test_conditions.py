# SPDX-License-Identifier: Apache-2.0
from agent.detect.conditions import checks_of, fields_of
from tests.agent.detect.sigma_rules import rule

DETECTION = """
a: {Image: x, CommandLine|fieldref: ParentCommandLine}
b: [word]
condition: a and not b
"""


def test_checks_come_in_the_order_of_the_rule_with_their_selections() -> None:
    found = [(match.selection, match.key, match.check.op) for match in checks_of(rule(DETECTION).condition)]
    assert found == [
        ("a", "Image", "equals"),
        ("a", "CommandLine|fieldref", "ref"),
        ("b", "", "contains"),
    ]


def test_fields_are_those_that_are_asked_and_referred_to() -> None:
    expected = {"Image", "CommandLine", "ParentCommandLine", ""}
    assert fields_of(rule(DETECTION).condition) == expected
