# SPDX-License-Identifier: Apache-2.0
"""Buckets of names. That the kernel computes the same is tested with real files in
tests/agent/kernel/test_values.py."""

from __future__ import annotations

from agent.policy import buckets

NAMES = [b"%s%d" % (stem, number) for stem in (b"", b"lib", b"a-longer-name") for number in range(300)]


def test_a_path_has_the_buckets_of_its_names() -> None:
    first, second, last, end = buckets.of_path(b"/etc/ssl/cert.pem")
    assert (first, second) == (buckets.first(b"etc"), buckets.second(b"etc", b"ssl"))
    assert (last, end) == (buckets.last(b"cert.pem"), buckets.end(b"em"))


def test_where_there_is_only_one_name_the_second_is_empty() -> None:
    first, second, last, end = buckets.of_path(b"/a")
    assert (first, second) == (buckets.first(b"a"), buckets.second(b"a", b""))
    assert (last, end) == (buckets.last(b"a"), buckets.end(b"/a"))


def test_every_bucket_is_a_number_below_the_one_that_means_not_known() -> None:
    found = {buckets.last(name) for name in NAMES} | {buckets.second(b"usr", name) for name in NAMES}
    assert max(found) < buckets.BUCKETS and min(found) >= 0


def test_names_spread() -> None:
    short = [name for name in NAMES if len(name) <= 8]
    for spread in (buckets.last, lambda name: buckets.second(b"usr", name)):
        assert len({spread(name) for name in short}) > 230


def test_length_counts_where_the_first_eight_bytes_are_equal() -> None:
    assert len({buckets.last(b"x" * length) for length in range(8, 72)}) > 40


def test_order_counts() -> None:
    assert buckets.second(b"usr", b"lib") != buckets.second(b"lib", b"usr")
