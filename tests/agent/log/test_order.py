# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.order import head_fault, order_fault
from agent.log.segments import SegmentName
from agent.log.verdict import Link

NAME = SegmentName(1_767_225_600_000, 11)
BEFORE = Link("before.jsonl", "aa", 10, "boot-a")


@pytest.mark.parametrize(
    ("before", "boot_id", "problem"),
    [
        (BEFORE, "boot-a", ""),
        (Link("before.jsonl", "", 5, "boot-a"), "boot-a", "records 6 to 10 are missing before it"),
        (Link("before.jsonl", "", 15, "boot-a"), "boot-a", "its numbers begin at 11, 16 was to come"),
        (BEFORE, "boot-b", "records 1 to 10 are missing before it"),
        (BEFORE, "", ""),
        (Link("before.jsonl", "", None, "boot-a"), "boot-a", ""),
        (Link(""), "boot-a", ""),
    ],
)
def test_numbers_go_on_within_a_boot_and_begin_anew_in_the_next(
    before: Link, boot_id: str, problem: str
) -> None:
    fault = order_fault(before, NAME, boot_id)
    assert (fault.problem if fault else "") == problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"previous": "before.jsonl", "previous_sha256": "aa"}, ""),
        ({"previous": "before.jsonl", "previous_sha256": "bb"}, "holds another hash of before.jsonl"),
        ({"previous": "other.jsonl"}, "goes on from other.jsonl, which is not before it"),
        ({}, ""),
    ],
)
def test_the_first_line_names_the_segment_before_and_its_hash(content: dict[str, str], problem: str) -> None:
    fault = head_fault(BEFORE, NAME, content)
    assert fault.problem.startswith(problem) if fault else not problem


def test_the_oldest_segment_goes_on_from_what_nobody_has() -> None:
    assert head_fault(Link(""), NAME, {"previous": "gone.jsonl", "previous_sha256": "aa"}) is None
