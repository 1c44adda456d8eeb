# SPDX-License-Identifier: Apache-2.0
"""Reject tables never reject a path that a filter asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy import buckets
from agent.policy.groups import Constraint, Dimension
from agent.policy.layout import PATH_BUCKETS, Field, Kind, PathAsks
from agent.policy.pathtables import (
    PathTable,
    is_rejectable,
    needs_of_equal,
    needs_of_postfix,
    needs_of_prefix,
)
from agent.policy.values import Source, Step, Value, ValueType

PATHS = st.lists(st.sampled_from(["a", "etc", "ssh", "passwd", "x.so"]), min_size=1, max_size=4).map(
    lambda names: "/" + "/".join(names)
)


def table(kind: Kind, *values: bytes, negated: bool = False) -> PathTable:
    return PathTable([Constraint(Dimension(True, kind, Field.TEXT, 0), 5, negated, values)])


def is_possible(found: PathTable, path: bytes) -> bool:
    packed = found.pack()
    first, second, last, end = (
        packed[8 * PATH_BUCKETS * part + 8 * bucket] >> 5 & 1
        for part, bucket in enumerate(buckets.of_path(path))
    )
    return bool((first | second) & last & end)


@given(PATHS, st.integers(0, 30))
def test_no_beginning_end_or_whole_of_a_path_rejects_it(text: str, cut: int) -> None:
    path = text.encode()
    cut = min(cut, len(path))
    assert is_possible(table(Kind.EQUAL, path), path)
    assert is_possible(table(Kind.PREFIX, path[:cut]), path)
    assert is_possible(table(Kind.POSTFIX, path[cut:]), path)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.EQUAL, b"/etc/shadow"),
        (Kind.PREFIX, b"/usr/"),
        (Kind.PREFIX, b"/etc/ssh/"),
        (Kind.POSTFIX, b".so"),
    ],
)
def test_other_paths_are_rejected(kind: Kind, value: bytes) -> None:
    assert not is_possible(table(kind, value), b"/etc/passwd")


def test_what_is_not_known_whole_is_not_asked() -> None:
    assert needs_of_prefix(b"/etc")[:4] == (None, None, None, None)
    assert needs_of_postfix(b"d")[:4] == (None, None, None, None)
    assert needs_of_equal(b"relative")[:4] == (None, None, None, None)


def test_a_table_tells_which_of_its_parts_ask() -> None:
    assert table(Kind.PREFIX, b"/etc/").asks == PathAsks.FIRST
    assert table(Kind.POSTFIX, b".so").asks == PathAsks.END
    assert table(Kind.EQUAL, b"/etc/passwd", negated=True).asks == PathAsks(0)


def test_only_paths_that_the_hook_is_called_with_are_rejected() -> None:
    path = Value(Source.ARGUMENT, ValueType.FILE)
    assert is_rejectable(path)
    assert not is_rejectable(path._replace(steps=(Step(8, True),)))
    assert not is_rejectable(path._replace(type=ValueType.STRING))
