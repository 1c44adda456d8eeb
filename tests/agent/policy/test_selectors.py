# SPDX-License-Identifier: Apache-2.0
"""Selectors and macros."""

from __future__ import annotations

from tests.agent.policy.policies import HEAD, first, hook, policy, read, told

MACRO = "selectorsMacros:\n  shells:\n    matchBinaries: [{operator: In, values: [/bin/sh]}]\n"


def test_a_macro_stands_for_its_fields() -> None:
    plain = first(hook("", "{label: x, matchBinaries: [{operator: In, values: [/bin/sh]}]}"))
    used = policy(MACRO + hook("", "{label: x, macros: [shells]}")).hooks[0]
    assert used.selectors == plain.selectors


def test_a_field_of_a_macro_that_is_already_there_is_told() -> None:
    spec = MACRO + hook("", "{macros: [shells], matchBinaries: [{operator: In, values: [/a]}]}")
    assert "matchBinaries of the macro shells is already there" in told(spec)[0]


def test_macros_that_do_not_work_are_told() -> None:
    assert 'there is no macro shels (did you mean "shells"?)' in told(MACRO + hook("", "macros: [shels]"))[0]
    assert (
        "macros is not a field here"
        in told(MACRO.replace("matchBinaries:", "macros: [x]\n    matchBinaries:") + hook(""))[0]
    )


def test_a_mistake_in_a_macro_is_told_once() -> None:
    spec = MACRO.replace("/bin/sh", "x" * 4094 + "é") + hook("") + "- call: g\n  syscall: false\n"
    used = spec.replace("  args: []\n", "  selectors: [{macros: [shells]}, {macros: [shells]}]\n")
    assert len([each for each in told(used) if "too long" in each]) == 1


def test_selectors_after_one_that_matches_everything_are_told() -> None:
    more = "  selectors:\n  - matchActions: [{action: Post}]\n  - matchPIDs: [{operator: In, values: [1]}]\n"
    policies, problems = read(hook("", more=more), HEAD)
    assert [problem.is_error for problem in problems] == [False]
    assert "never act" in problems[0].text
    assert len(policies[0].hooks[0].selectors) == 2


def test_labels_name_selectors() -> None:
    assert first(hook("", "label: mine")).selectors[0].label == "mine"
