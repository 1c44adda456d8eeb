# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from agent.policy.book import PolicyBook
from tests.agent.hookwire import acting, facts


def test_a_bit_that_is_used_again_is_another_selector() -> None:
    book = PolicyBook()
    first, second = facts(policy="a"), facts(policy="b")
    book.note(1, 7, 10, first)
    book.note(1, 7, 20, second)
    assert (book.describe(1, 7, 10), book.describe(1, 7, 20)) == (first, second)


def test_what_is_forgotten_is_not_known() -> None:
    book = PolicyBook()
    book.note(1, 7, 10, facts())
    book.forget(1, 7, 10)
    book.forget(1, 7, 11)
    assert book.describe(1, 7, 10) is None


def test_a_hook_without_selectors_has_none_chosen() -> None:
    assert facts().chosen is None
    selectors = [acting("Post"), acting("Sigkill", label="kill")]
    assert facts(selectors=selectors, selector=1).chosen is selectors[1]
