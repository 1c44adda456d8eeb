# SPDX-License-Identifier: Apache-2.0
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.enrich.process import PID_BITS, Process, image_key, is_same, make_exec_id
from agent.events import EXECED

PIDS = st.integers(0, 2**PID_BITS - 1)
STAMPS = st.integers(0, 2**63)


@given(st.tuples(PIDS, STAMPS), st.tuples(PIDS, STAMPS))
def test_images_have_one_key_only_when_they_are_the_same(one: tuple[int, int], two: tuple[int, int]) -> None:
    assert (image_key(*one) == image_key(*two)) is (one == two)


def test_an_exec_id_is_the_recorded_one_of_tetragon() -> None:
    assert make_exec_id(b"virtme-ng", 337, 27344900934 * 10) == "dmlydG1lLW5nOjI3MzQ0OTAwOTM0MDozMzc="


def test_the_kernels_own_stamp_is_1_as_tetragons() -> None:
    assert b64decode(make_exec_id(b"n1", 0, 99)) == b"n1:1:0"


@pytest.mark.parametrize(("ktime", "earlier", "same"), [(5, 5, True), (6, 5, True), (5, 6, False)])
def test_images_of_one_process_count_upwards(ktime: int, earlier: int, same: bool) -> None:
    assert is_same(10**12 + ktime, 10**12 + earlier) is same


def test_a_pid_that_is_used_again_is_another_process() -> None:
    assert not is_same(10**12 + 10_000_000, 10**12)


def chain(length: int) -> Process:
    above = Process(0, 1, "kernel", None)
    for number in range(1, length + 1):
        above = Process(number, number, f"id{number}", above)
    return above


def test_ancestors_go_from_the_parent_to_pid_1() -> None:
    assert [process.tgid for process in chain(4).ancestors()] == [3, 2, 1]


def test_pid_1_has_no_ancestors() -> None:
    assert chain(1).ancestors() == []


def test_an_image_is_as_deep_as_its_chain_is_long() -> None:
    assert [process.depth for process in chain(4).ancestors()] == [3, 2, 1]


def test_a_forked_image_has_not_executed_anything() -> None:
    process = chain(1)
    assert not process.has_execed
    process.flags = EXECED
    assert process.has_execed


def test_a_parent_that_is_learned_later_is_encoded_anew() -> None:
    process, parent = Process(5, 5, "id5", None), chain(2)
    process.fragment = process.lineage = "old"
    process.born_of(parent)
    assert (process.parent, process.parent_exec_id, process.depth) == (parent, "id2", 3)
    assert process.fragment is process.lineage is None


def test_the_copy_behind_a_cut_keeps_everything_but_its_parent() -> None:
    process, root = chain(9), chain(1)
    process.binary, process.words, process.fragment, process.container = "/bin/a", "execve", "{}", "c"
    copy = process.cut_copy(root)
    assert (copy.parent, copy.parent_exec_id) == (root, "id8")
    assert (copy.binary, copy.words, copy.fragment, copy.container) == ("/bin/a", "execve", "{}", "c")
    assert process.parent is not root
