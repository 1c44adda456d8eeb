# SPDX-License-Identifier: Apache-2.0
"""Texts by equality and by prefix."""

import pytest

from agent.policy.contents import Contents
from agent.policy.groups import Constraint, Dimension, Group
from agent.policy.layout import Field, Kind, unpack_set
from agent.policy.texts import compile_equal, compile_postfix, compile_prefix

DIMENSION = Dimension(True, Kind.EQUAL, Field.TEXT, 0)


def group_of(*texts: bytes) -> Group:
    return Group([Constraint(DIMENSION, at, False, (text,)) for at, text in enumerate(texts)])


@pytest.mark.parametrize(("length", "size"), [(0, 24), (24, 24), (25, 120), (121, 504), (505, 4096)])
def test_a_text_is_in_the_least_map_that_holds_it(length: int, size: int) -> None:
    contents = Contents()
    compile_equal(group_of(b"x" * length), 0, contents)
    assert [name for name, entries in contents.maps.items() if entries] == [f"strings_{size}"]


def test_a_longer_prefix_knows_of_the_shorter_ones() -> None:
    contents = Contents()
    compile_prefix(group_of(b"/etc", b"/usr", b"/etc/ssh", b"/e"), 1, contents)
    found = {
        key[8:].rstrip(b"\0"): unpack_set(value) & 15 for key, value in contents.maps["prefixes"].items()
    }
    assert found == {b"/e": 8, b"/etc": 9, b"/etc/ssh": 13, b"/usr": 2}


def test_a_prefix_counts_the_bits_of_its_filter() -> None:
    contents = Contents()
    compile_prefix(group_of(b"ab"), 2, contents)
    (key,) = contents.maps["prefixes"]
    assert key[:10] == bytes([48, 0, 0, 0, 0, 0, 0, 2]) + b"ab"


def test_postfixes_stand_there_reversed() -> None:
    contents = Contents()
    compile_postfix(group_of(b".so"), 0, contents)
    assert [key[8:11] for key in contents.maps["postfixes"]] == [b"os."]
