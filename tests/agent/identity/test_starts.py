# SPDX-License-Identifier: Apache-2.0
"""Starts that wait for the agent, and for how long."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from agent.identity.starts import Starts


def starts(answer: Any, fail_closed: tuple[str, ...] = ()) -> tuple[Starts, list[int]]:
    """Whose agent answers as `answer` says; the numbers that it was asked."""
    asked: list[int] = []

    def tell(id_: str, message: dict[str, Any]) -> None:
        number = message["starting"]["number"]
        asked.append(number)
        if answer is not None:
            threading.Thread(target=made.take, args=({"number": number} | answer,)).start()

    made = Starts(tell, fail_closed)
    return made, asked


def test_a_start_waits_for_the_agents_word() -> None:
    made, asked = starts({"error": ""})
    assert [made.hold("x", {}, "shop", 60) for _ in range(3)] == [""] * 3
    assert asked == [1, 2, 3] and made.counts == {"held": 3, "late": 0, "refused": 0}


def test_an_agent_that_does_not_answer_holds_up_one_start_not_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, _ = starts(None)
    waits: list[float] = []
    wait_for = made._wake.wait_for
    monkeypatch.setattr(
        made._wake, "wait_for", lambda holds, most: waits.append(most) or wait_for(holds, most)
    )
    assert [made.hold("x", {}, "shop", 0.01) for _ in range(3)] == [""] * 3
    assert waits == [0.01, 0.0, 0.0] and made.counts["late"] == 3
    made.take({"number": 3, "error": ""})
    made.hold("x", {}, "shop", 0.01)
    assert waits[-1] == 0.01


@pytest.mark.parametrize(
    ("answer", "why"), [(None, "did not answer"), ({"error": "no\nroom"}, "no\\x0aroom")]
)
def test_a_namespace_that_is_fail_closed_is_refused_without_the_agents_word(answer: Any, why: str) -> None:
    made, _ = starts(answer, ("pay*",))
    assert why in made.hold("x", {}, "payments", 0.2 if answer is None else 60)
    assert made.hold("x", {}, "shop", 0.2) == "" and made.counts["refused"] == 1


@pytest.mark.parametrize(("answer", "is_made"), [(None, False), ({"error": ""}, True)])
def test_in_a_namespace_that_is_fail_closed_nothing_is_made_without_the_agent(
    answer: Any, is_made: bool
) -> None:
    made, asked = starts(answer, ("pay*",))
    assert (made.create("x", "payments", 60 if is_made else 0.05) == "") is is_made
    assert made.create("x", "shop") == "" and asked == [1]  # nobody is asked for others
    assert made.counts == {"held": 0, "late": 0, "refused": int(not is_made)}


@pytest.mark.parametrize(
    "word", [{}, {"number": "x"}, {"number": 7, "error": 5}, {"number": None, "error": ""}]
)
def test_a_word_about_nothing_lets_nobody_go(word: dict[str, Any]) -> None:
    made, _ = starts(None, ("*",))
    made.take(word)
    assert made.hold("x", {}, "shop", 0.01)
