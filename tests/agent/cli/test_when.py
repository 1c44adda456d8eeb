# SPDX-License-Identifier: Apache-2.0
"""Points in time on the command line."""

from __future__ import annotations

import argparse

import pytest

from agent.cli.when import as_log_time, parse_when
from tests.agent.cli.conftest import START_NS

NOON = START_NS + 12 * 3600 * 10**9
TIMES = {
    "now": "2026-01-01T12:00:00.000000000Z",
    "10m": "2026-01-01T11:50:00.000000000Z",
    "1h30m": "2026-01-01T10:30:00.000000000Z",
    "90": "2026-01-01T11:58:30.000000000Z",
    "9:05": "2026-01-01T09:05:00.000000000Z",
    "14:30:15": "2026-01-01T14:30:15.000000000Z",
    "2025-12-31": "2025-12-31T00:00:00.000000000Z",
    "2025-12-31 23:59": "2025-12-31T23:59:00.000000000Z",
    "2025-12-31T23:59:59.123456789Z": "2025-12-31T23:59:59.123456789Z",
    "2025-12-31T23:59:59.5+01:00": "2025-12-31T22:59:59.500000000Z",
    "2025-12-31t23:59:59-0130": "2026-01-01T01:29:59.000000000Z",
}


@pytest.mark.parametrize(("text", "expected"), TIMES.items())
def test_a_time_is_read(text: str, expected: str) -> None:
    assert as_log_time(parse_when(text, NOON)) == expected


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "2026-01-01T", "10x", "1:2", "1e400"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time; write"):
        parse_when(text, NOON)


def test_without_a_given_now_it_is_the_clock_s() -> None:
    assert abs(parse_when("0s") - parse_when("now")) < 10**9
