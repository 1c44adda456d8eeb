# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.log.times import format_time, parse_time


def test_a_time_has_nine_digits_and_a_z() -> None:
    assert format_time(1_767_225_600_000_000_001) == "2026-01-01T00:00:00.000000001Z"


@given(st.integers(0, 253402300799 * 10**9))
def test_a_time_survives_the_way_to_text_and_back(wall_ns: int) -> None:
    assert parse_time(format_time(wall_ns)) == wall_ns


@pytest.mark.parametrize(("text", "fraction_ns"), [("", 0), (".5", 500_000_000), (".000001", 1000)])
def test_a_fraction_may_have_fewer_digits(text: str, fraction_ns: int) -> None:
    assert parse_time(f"2026-01-01T00:00:00{text}Z") == 1_767_225_600 * 10**9 + fraction_ns


@pytest.mark.parametrize(
    "text", ["", "now", "2026-01-01T00:00:00", "2026-01-01T00:00:00+01:00", "2026-01-01T00:00:00.1234567890Z"]
)
def test_what_is_no_time_in_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)
