# SPDX-License-Identifier: Apache-2.0
"""Cgroups that were made or removed, from bytes."""

from __future__ import annotations

import pytest

from agent.decode.cgroup import decode_cgroup
from agent.events import CgroupChange, Garbage
from tests.agent.wire import cgroup_record


def test_a_record_tells_the_cgroup_its_container_and_its_path() -> None:
    found = decode_cgroup(cgroup_record(7, 5, b"/docker/x", at=3))
    assert isinstance(found, CgroupChange)
    assert found[1:] == (7, 5, False, b"/docker/x")
    assert found.head.ktime_ns == 3


def test_a_removal_is_told_apart() -> None:
    found = decode_cgroup(cgroup_record(7, 7, b"/x", removed=True))
    assert isinstance(found, CgroupChange) and found.is_removed


@pytest.mark.parametrize("length", [4096, 0xFFFFFFFF])
def test_a_length_beyond_the_record_reads_nothing_else(length: int) -> None:
    found = decode_cgroup(cgroup_record(7, 7, b"/x", length=length) + b"behind")
    assert isinstance(found, CgroupChange) and found.path == b"/x"


def test_what_is_too_short_is_garbage() -> None:
    assert isinstance(decode_cgroup(cgroup_record(7, 7, b"/x")[:-1]), Garbage)
