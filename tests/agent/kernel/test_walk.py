# SPDX-License-Identifier: Apache-2.0
"""Ways from struct to member, on this kernel's types."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.kernel.btf import KIND_STRUCT, Btf
from agent.kernel.walk import Found, WalkError, split_path, walk

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def btf() -> Iterator[Btf]:
    with Btf.of_kernel() as found:
        yield found


def from_task(btf: Btf, path: str) -> Found:
    return walk(btf, btf.find("task_struct", KIND_STRUCT), path)


def test_members_of_nameless_structs_are_found(btf: Btf) -> None:
    union = walk(btf, btf.find("sock", KIND_STRUCT), "__sk_common.skc_daddr")
    assert (union.hops, union.offset, union.type.size) == ((), 0, 4)


def test_pointers_between_the_parts_are_followed(btf: Btf) -> None:
    offsets = {member.name: member.offset for member in btf.members("task_struct")}
    found = from_task(btf, "real_parent.mm")
    assert [hop.offset for hop in found.hops] == [offsets["real_parent"]]
    assert (found.offset, found.type.text) == (offsets["mm"], "struct mm_struct *")


def test_elements_of_arrays_are_counted(btf: Btf) -> None:
    assert from_task(btf, "comm[3]").offset == from_task(btf, "comm").offset + 3


def test_elements_behind_a_pointer_are_counted(btf: Btf) -> None:
    found = from_task(btf, "files.fdt.fd[2]")
    assert (len(found.hops), found.offset, found.type.text) == (3, 16, "struct file *")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("comm[16]", "outside of `char [16]`"),
        ("pid[0]", "is no array"),
        ("pid.x", "`int` has no member x"),
        ("a..b", "is no path of members"),
        ("in_execve", "bit field of 1 bits"),
    ],
)
def test_ways_that_lead_nowhere_are_told(btf: Btf, path: str, message: str) -> None:
    with pytest.raises(WalkError) as caught:
        from_task(btf, path)
    assert message in caught.value.message


def test_a_misspelt_member_has_the_nearest_told(btf: Btf) -> None:
    with pytest.raises(WalkError) as caught:
        from_task(btf, "real_parrent")
    assert "real_parent" in caught.value.hint


def test_a_path_is_names_and_indexes() -> None:
    assert split_path("a.b[3][4]->c.[1]") == ["a", "b", "[3]", "[4]", "c", "[1]"]
