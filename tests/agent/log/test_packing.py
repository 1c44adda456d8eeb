# SPDX-License-Identifier: Apache-2.0
from agent.log.packing import RECENT, SMALLEST_BYTES, Packing

MIB = 1 << 20


def test_a_twelfth_is_assumed_and_the_least() -> None:
    packing = Packing()
    assert packing.estimate(12_000) == 1000
    packing.note(100 * MIB, MIB)
    assert packing.estimate(12_000) == 1000


def test_lines_that_do_not_shrink_count_with_what_was_measured() -> None:
    packing = Packing()
    packing.note(10 * MIB, 5 * MIB)
    assert packing.estimate(1000) == 500
    packing.note(30 * MIB, MIB)
    assert packing.estimate(1000) == 150


def test_only_the_last_segments_count() -> None:
    packing = Packing()
    for parquet_bytes in (20 * MIB, *[5 * MIB] * RECENT):
        packing.note(20 * MIB, parquet_bytes)
    assert packing.estimate(1000) == 250


def test_short_segments_tell_nothing_and_lines_never_count_more_than_they_take() -> None:
    packing = Packing()
    packing.note(SMALLEST_BYTES - 1, SMALLEST_BYTES)
    assert packing.estimate(12_000) == 1000
    packing.note(MIB, 3 * MIB)
    assert packing.estimate(1000) == 1000
