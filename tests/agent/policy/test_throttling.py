# SPDX-License-Identifier: Apache-2.0
"""When throttling of a cgroup begins and ends, seen in a map that is written as the kernel writes it."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel.mapfill import make_map
from agent.kernel.objects import BpfMap
from agent.kernel.template import MapForm
from agent.policy.throttling import START, STOP, Throttled, Throttling, find_name

pytestmark = pytest.mark.root
SECOND = 1_000_000_000


@pytest.fixture
def table() -> Iterator[BpfMap]:
    made = make_map("throttles", MapForm(1, 8, 32, 16, 0))
    yield made
    os.close(made.fd)


def watching(table: BpfMap) -> Throttling:
    made = Throttling(table, lambda number: f"/{number}")
    made.is_on = True
    return made


def held_back(table: BpfMap, cgroup: int, suppressed: int, second: int) -> None:
    table.update(struct.pack("=Q", cgroup), struct.pack("=4Q", second, 9, suppressed, second * SECOND))


def test_the_first_that_is_held_back_begins_it_and_five_calm_seconds_end_it(table: BpfMap) -> None:
    throttling = watching(table)
    held_back(table, 7, 3, 100)
    assert list(throttling.look(100 * SECOND)) == [Throttled(START, 7, "/7", 3)]
    held_back(table, 7, 5, 101)
    assert list(throttling.look(105 * SECOND)) == []
    assert list(throttling.look(107 * SECOND)) == [Throttled(STOP, 7, "/7", 5)]
    assert list(throttling.look(108 * SECOND)) == []
    assert throttling.suppressed == 5


def test_what_is_held_back_later_is_counted_anew(table: BpfMap) -> None:
    throttling = watching(table)
    held_back(table, 7, 3, 100)
    for now in (100, 107):
        list(throttling.look(now * SECOND))
    held_back(table, 7, 4, 200)
    assert list(throttling.look(200 * SECOND)) == [Throttled(START, 7, "/7", 1)]


def test_a_cgroup_within_its_rate_is_not_told(table: BpfMap) -> None:
    held_back(table, 7, 0, 100)
    assert list(watching(table).look(100 * SECOND)) == []


def test_the_record_names_the_cgroup() -> None:
    record = Throttled(START, 7, "/a", 3).record()
    assert record == {"type": START, "cgroup": {"id": "7", "name": "/a"}, "suppressed": 3}


def test_a_cgroup_is_found_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a" / ".b").mkdir(parents=True)
    assert find_name((tmp_path / "a" / ".b").stat().st_ino, tmp_path) == "/a/.b"
    assert find_name(tmp_path.stat().st_ino, tmp_path) == "/"
    assert find_name(0, tmp_path) == ""
