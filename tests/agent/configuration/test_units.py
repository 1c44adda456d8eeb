# SPDX-License-Identifier: Apache-2.0
"""Sizes and durations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.configuration.units import (
    format_duration,
    format_size,
    human_duration,
    human_size,
    parse_duration,
    parse_size,
)

SIZES = {"0": 0, "1_000": 1000, "64MiB": 64 << 20, "64 Mi": 64 << 20, "1.5GiB": 3 << 29, "10MB": 10_000_000}
DURATIONS = {"30s": 30, "1h30m": 5400, "500ms": 0.5, "2d": 172800, "7": 7, "1.5": 1.5, "-1": -1, "-2s": -2}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "64M", "1..5MiB", "0x10", "1e6", "64 MiB extra", "1.5", "5 apples"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "1y", "1h 30", "1:30", "h1", "--1s", "1 hour"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(0, 1 << 45))
def test_a_formatted_size_reads_back(size: int) -> None:
    assert parse_size(format_size(size)) == size


@settings(deadline=None)
@given(st.integers(0, 10**8) | st.floats(0.001, 1e5).map(lambda value: round(value, 3)))
def test_a_formatted_duration_reads_back(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds)


def test_rough_figures_are_short() -> None:
    assert [human_size(size) for size in (12, 2048, 5 << 20)] == ["12 B", "2.0 KiB", "5.0 MiB"]
    durations = [0.0123, 3.44, 125, 3600 * 3 + 720, 86400 * 4 + 3 * 3600]
    assert [human_duration(seconds) for seconds in durations] == ["12ms", "3.4s", "2m05s", "3h12m", "4d03h"]
