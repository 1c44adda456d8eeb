# SPDX-License-Identifier: Apache-2.0
"""Mounts, and files of file systems that nobody mounted."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.kernel.mounts import Mount, directories_of, read_kernel_file, read_mounts
from tests.agent.kernel.support import become_nobody, in_child


def test_mounts_are_read_with_kind_place_and_options(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mounts").write_text("bpf /sys/fs/bpf bpf rw,mode=700 0 0\nshort line\n")
    assert read_mounts(tmp_path) == [Mount("bpf", "/sys/fs/bpf", ("rw", "mode=700"))]


def test_without_proc_there_are_no_mounts(tmp_path: Path) -> None:
    assert read_mounts(tmp_path) == []


def test_places_of_a_kind_are_found() -> None:
    mounts = [Mount("bpf", "/a", ()), Mount("tmpfs", "/b", ()), Mount("bpf", "/c", ())]
    assert directories_of("bpf", mounts) == ["/a", "/c"]


def test_a_mounted_file_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "lsm").write_text("from the mount")
    assert read_kernel_file("securityfs", "lsm", [Mount("securityfs", str(tmp_path), ())]) == "from the mount"


@pytest.mark.kernel
def test_a_file_of_an_unmounted_file_system_is_read_and_nothing_stays_mounted() -> None:
    before = kernels_own(read_mounts())
    assert "capability" in (read_kernel_file("securityfs", "lsm", []) or "")
    assert int(read_kernel_file("tracefs", "events/sched/sched_process_exec/id", []) or "0") > 0
    assert kernels_own(read_mounts()) == before


def kernels_own(mounts: list[Mount]) -> list[Mount]:
    return [mount for mount in mounts if mount.kind in ("securityfs", "tracefs")]


@pytest.mark.kernel
def test_a_file_that_does_not_exist_is_none() -> None:
    assert read_kernel_file("tracefs", "events/sched/no_such_thing/id", []) is None
    assert read_kernel_file("no_such_fs", "anything", []) is None


@pytest.mark.kernel
def test_without_capabilities_it_is_none_and_no_error() -> None:
    assert in_child(become_nobody, lambda: read_kernel_file("securityfs", "lsm", [])) is None
