# SPDX-License-Identifier: Apache-2.0
import dataclasses
from typing import Any

import pytest

from agent.store.answers import Timeline, Tree
from agent.store.report.completeness import Statement, is_proven, statements
from tests.agent.store.report.invented import FACTS, START_NS, completeness, incident, process


def told(since_ns: int | None = None, truncated: int = 0, **more: Any) -> list[Statement]:
    tree = Tree(process(7, "/bin/x", 0), [], completeness(**more))
    facts = dataclasses.replace(FACTS, since_ns=since_ns)
    return list(statements(Timeline(tree, [], truncated), facts))


def test_a_whole_log_says_so_and_which_period_it_covers() -> None:
    verdict, period, _chain = told()
    assert verdict == Statement("good", "Nothing is known to be missing from this report.")
    assert period.text == "The log covers 2025-12-31 23:30:00.000 UTC to 2026-01-01 00:30:00.000 UTC."


def test_a_loss_says_what_may_be_missing_when_and_why() -> None:
    lines = list(statements(incident(), FACTS))
    assert lines[0].tone == "warn"
    assert lines[2].text == (
        "May miss processes between 2026-01-01 00:00:12.000 UTC and 2026-01-01 00:00:12.600 UTC: "
        "3 lost, ring full at exec."
    )


def test_a_time_without_an_agent_is_told_in_words() -> None:
    loss = {"cause": "agent_not_running", "from": "2026-01-01T00:00:00.5Z", "to": "2026-01-01T00:00:01.5Z"}
    assert told(losses=[loss])[2].text.endswith("and 2026-01-01 00:00:01.5 UTC: the agent did not run.")


def test_a_loss_without_times_is_told_all_the_same() -> None:
    assert told(losses=[{"cause": "map_full"}])[2].text == "May miss events at an unknown time: map full."


def test_numbers_that_are_missing_make_the_report_bad() -> None:
    lines = told(gaps=[(5, 5), (7, 1006)])
    assert lines[0].tone == "bad"
    assert [line.text.partition(" missing")[0] for line in lines[2:4]] == [
        "Record 5 is",
        "Records 7 to 1006 (1,000) are",
    ]


def test_a_question_older_than_the_log_is_not_fully_answered() -> None:
    lines = told(since_ns=START_NS - 7_200_000_000_000)
    assert lines[0].tone == "warn" and lines[2].text.startswith(
        "Older than the log: 2025-12-31 22:00:00.000 UTC"
    )


def test_restarts_and_notes_are_told() -> None:
    lines = told(reboots=[START_NS], notes=["The index was damaged."])
    assert [line.text for line in lines[2:4]] == [
        "The machine was started anew at 2026-01-01 00:00:00.000 UTC.",
        "The index was damaged.",
    ]


def test_what_was_left_out_for_its_number_is_told() -> None:
    text = told(truncated=1200)[2].text
    assert text.startswith("1,200 events before 1970-01-01 00:00:00 UTC are left out") and "--until" in text


@pytest.mark.parametrize(
    ("chain", "tone", "text"),
    [
        ({}, "info", "The chain of hashes was not verified."),
        ({"ok": True, "head": "ab"}, "good", "The chain of hashes is intact: head ab."),
        (
            {"ok": False, "first_bad": {"record": 7}},
            "bad",
            "The chain of hashes is broken: first bad record 7.",
        ),
        ({"verified": False, "problems": ["a", "b"]}, "bad", "The chain of hashes is broken: problems a; b."),
    ],
)
def test_the_proof_of_the_chain_is_told(chain: dict[str, Any], tone: str, text: str) -> None:
    lines = told(chain=chain)
    assert lines[-1] == Statement(tone, text)
    assert (lines[0].tone == "bad") == (is_proven(chain) is False)


def test_what_was_hidden_on_request_is_told() -> None:
    lines = list(statements(incident(), dataclasses.replace(FACTS, hidden="arguments")))
    assert lines[-1].text == "Left out of this report on request: arguments."
