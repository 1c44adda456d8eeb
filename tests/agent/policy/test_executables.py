# SPDX-License-Identifier: Apache-2.0
"""What a path means for a process and its children."""

from __future__ import annotations

from agent.policy.executables import LOOKS, Looked
from agent.policy.layout import EVERY, unpack_set
from agent.policy.model import BinaryFilter

EQUAL, PREFIX, POSTFIX = LOOKS


def sets_of(value: bytes) -> tuple[int, int, int]:
    return unpack_set(value[:32]), unpack_set(value[32:64]), unpack_set(value[64:])


def test_a_path_means_one_thing_as_own_and_another_as_the_parents() -> None:
    looked = Looked(
        EQUAL, [(BinaryFilter("In", ("/a",)), 3)], [(BinaryFilter("NotIn", ("/a",)), 4)], [(("/a",), 9)]
    )
    ((name, _, value),) = looked.entries()
    assert name == "class_texts_120"
    assert sets_of(value) == (EVERY, EVERY & ~(1 << 4), 1 << 9)
    assert sets_of(looked.otherwise) == (EVERY & ~(1 << 3), EVERY, 0)


def test_what_is_followed_is_no_condition_on_the_own_path() -> None:
    looked = Looked(EQUAL, [(BinaryFilter("In", ("/a",), True), 3)], [], [(("/a",), 0)])
    assert sets_of(looked.otherwise)[0] == EVERY


def test_longer_prefixes_know_of_shorter_ones() -> None:
    filters = [(BinaryFilter("Prefix", ("/usr/",)), 2), (BinaryFilter("Prefix", ("/usr/bin/",)), 3)]
    found = {
        key[4:].rstrip(b"\0"): sets_of(value)[0] >> 2 & 3
        for _, key, value in Looked(PREFIX, filters, [], []).entries()
    }
    assert found == {b"/usr/": 1, b"/usr/bin/": 3}


def test_each_look_takes_its_own_operators() -> None:
    filters = [(BinaryFilter("In", ("/a",)), 2), (BinaryFilter("NotPostfix", ("sh",)), 3)]
    asked = [Looked(look, filters, [], []).is_asked for look in LOOKS]
    assert asked == [True, False, True]
    assert [key[4:6] for _, key, _ in Looked(POSTFIX, filters, [], []).entries()] == [b"hs"]
