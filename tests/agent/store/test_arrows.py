# SPDX-License-Identifier: Apache-2.0
from array import array

import pyarrow as pa
import pytest

from agent.log.times import format_time
from agent.store.arrows import named, places, plain, spread, stamps_ns


def test_stamps_are_nanoseconds() -> None:
    times = array("q", [1_767_225_600 * 10**9 + 1, 0, 1])
    found = array("q")
    found.frombytes(stamps_ns([format_time(time_ns).encode() for time_ns in times]))
    assert found == times


@pytest.mark.parametrize("stamp", [b"", b"2026-01-01T00:00:00Z", b"2026-13-01T00:00:00.000000001Z"])
def test_what_is_no_stamp_is_an_error(stamp: bytes) -> None:
    with pytest.raises(ValueError):
        stamps_ns([b"2026-01-01T00:00:00.000000001Z", stamp])


def test_words_are_spread_over_rows() -> None:
    rows = spread(named("exe", ["a", None, "b", "a"]), places(array("i", [3, 2, -1, 1, 0])))
    assert rows.to_pylist() == ["a", "b", None, None, "a"]
    assert sorted(rows.dictionary.to_pylist()) == ["a", "b"]


def test_values_of_another_kind_are_null() -> None:
    assert named("port", [1, "x", 1 << 40, None]).to_pylist() == [1, None, None, None]


def test_plain_values_have_something_for_nothing() -> None:
    assert plain(pa.array(["a", None]).dictionary_encode(), "") == ["a", ""]
    assert plain(pa.array([1, None]), 0) == [1, 0]
