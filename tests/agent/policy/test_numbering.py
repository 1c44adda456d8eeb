# SPDX-License-Identifier: Apache-2.0
"""Numbers mean to the next agent what they meant to the one before."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from agent.kernel.posts import CLASSES_BYTES
from agent.policy.classes import ClassTable, ProcessConditions
from agent.policy.model import BinaryFilter, LabelSelector, Where, Workload
from agent.policy.numbering import digest, numbers_of, packed

HERE = Where("test", 1, "spec")
POD = ProcessConditions(workloads=(Workload(pod=LabelSelector((("app", "a"),))),))
OTHER = ProcessConditions(workloads=(Workload(pod=LabelSelector((("app", "b"),))),))
SHELL = BinaryFilter("In", ("/bin/sh",), follow_children=True, where=HERE)
CHILDREN = ProcessConditions((SHELL,))


def table(before: bytes, *asked: ProcessConditions) -> tuple[ClassTable, list[int]]:
    """With these classes, in this order, and their numbers."""
    made = ClassTable(before=before)
    numbers = [made.number_of(conditions, "test", HERE, "test") for conditions in asked]
    return made, numbers


def test_where_a_condition_is_written_makes_no_difference() -> None:
    moved = ProcessConditions((replace(SHELL, where=Where("other", 9, "")),))
    assert digest(moved) == digest(CHILDREN) != digest(POD)


def test_another_process_finds_the_same_digest() -> None:
    names = "from tests.agent.policy.test_numbering import POD, digest; print(digest(POD).hex())"
    said = subprocess.run([sys.executable, "-c", names], capture_output=True, text=True, check=True).stdout
    assert said.strip() == digest(POD).hex()


def test_what_was_known_keeps_its_number_and_nothing_new_gets_it() -> None:
    first, numbers = table(b"", OTHER, POD, CHILDREN)
    first.compile()
    assert numbers == [0, 1, 2]
    again, numbers = table(first.kept_numbers(), CHILDREN, POD)
    assert numbers == [2, 1]
    new = ProcessConditions((replace(SHELL, follow_children=False),))
    assert again.number_of(new, "test", HERE, "test") == 3
    again.forget_before()
    assert again.number_of(OTHER, "test", HERE, "test") == 0


def test_a_followed_condition_that_is_known_is_not_fresh() -> None:
    first, _ = table(b"", CHILDREN)
    assert first.compile().fresh == 1
    again, _ = table(first.kept_numbers(), CHILDREN)
    assert again.compile().fresh == 0


def test_where_no_other_number_is_left_a_known_one_is_given() -> None:
    classes, _ = numbers_of(packed({POD: 7}, {}))
    assert classes.choose(OTHER, [7, 8]) == (8, False)
    assert classes.choose(OTHER, [7]) == (7, False)
    assert classes.choose(POD, [7, 8]) == (7, True)


def test_the_map_is_as_large_as_what_it_holds() -> None:
    assert len(packed({}, {})) == CLASSES_BYTES
    assert numbers_of(b"")[0].choose(POD, [5, 6]) == (5, False)
