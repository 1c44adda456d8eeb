# SPDX-License-Identifier: Apache-2.0
"""What a policy is, whichever file it stands in."""

from __future__ import annotations

from agent.policy.model import Action, Policy, Selector, Where


def test_a_namespaced_policy_is_another_one_than_its_namesake() -> None:
    assert {Policy("a").key, Policy("a", "b").key} == {"a", "b/a"}


def test_the_same_policy_from_another_file_is_equal() -> None:
    here, there = Where("a.yaml", 3, "spec"), Where("b.yaml", 30, "spec")
    assert Policy("a", where=here, text="x") == Policy("a", where=there, text="y")


def test_selectors_that_do_other_things_differ() -> None:
    assert Selector(actions=(Action("Post"),)) != Selector(actions=(Action("Sigkill"),))
