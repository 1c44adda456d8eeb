# SPDX-License-Identifier: Apache-2.0
"""Paths of members as steps, by this kernel's own types."""

from __future__ import annotations

import pytest

from agent.kernel.btf import KIND_STRUCT
from agent.kernel.shapes import CType
from agent.kernel.view import KernelView
from agent.policy.kinds import KINDS
from agent.policy.model import Argument
from agent.policy.report import Wrong
from agent.policy.resolve import Start, find_start, follow, steps_to
from agent.policy.values import Step, ValueFlag
from tests.agent.policy.planning import view

__all__ = ["view"]
pytestmark = pytest.mark.kernel


@pytest.fixture
def task(view: KernelView) -> Start:
    return Start(view.btf, view.btf.find("task_struct", KIND_STRUCT))


def offset(view: KernelView, struct: str, member: str) -> int:
    return next(found.offset for found in view.btf.members(struct) if found.name == member)


def test_pointers_on_the_way_are_followed_and_numbers_loaded_in_the_end(
    view: KernelView, task: Start
) -> None:
    steps, flags = steps_to(follow("real_parent.tgid", task), KINDS["int"])
    tasks = (offset(view, "task_struct", "real_parent"), offset(view, "task_struct", "tgid"))
    assert steps == (Step(tasks[0], True), Step(tasks[1], False))
    assert flags == ValueFlag.IS_ADDRESS


def test_an_object_behind_a_pointer_is_followed_to(view: KernelView, task: Start) -> None:
    steps, flags = steps_to(follow("cred", task), KINDS["cred"])
    assert (steps, flags) == ((Step(offset(view, "task_struct", "cred"), True),), ValueFlag(0))


def test_text_inside_of_a_struct_is_where_it_stands(view: KernelView, task: Start) -> None:
    steps, _flags = steps_to(follow("comm", task), KINDS["string"])
    assert steps == (Step(offset(view, "task_struct", "comm"), False),)


def test_a_wrong_member_is_told_with_the_nearest(task: Start) -> None:
    with pytest.raises(Wrong) as caught:
        follow("real_parent.tgidd", task)
    assert "struct task_struct has no member tgidd" in caught.value.text
    assert "tgid" in caught.value.hint


def test_more_than_ten_parts_are_refused(task: Start) -> None:
    with pytest.raises(Wrong, match="more than 10 parts"):
        follow(".".join(["real_parent"] * 11), task)


def test_a_path_needs_a_struct_to_begin_at(view: KernelView) -> None:
    nothing = CType("pointer", "void", "void *", 8, depth=1)
    with pytest.raises(Wrong) as caught:
        find_start(Argument(0, "int", resolve="a"), nothing, view.btf, view)
    assert "btfType" in caught.value.hint
    assert find_start(
        Argument(0, "int", resolve="pid", btf_type="task_struct"), nothing, view.btf, view
    ).struct
