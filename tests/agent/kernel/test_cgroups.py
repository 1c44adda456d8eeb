# SPDX-License-Identifier: Apache-2.0
"""Which hierarchy names containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.kernel.cgroups import container_hierarchy

V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"
V1_PIDS = "cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n"
V1_MEMORY = "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
V1_SYSTEMD = "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        (V2, 0),
        (V1_PIDS + V1_MEMORY, 9),
        (V1_MEMORY, 5),
        (V2 + V1_MEMORY + V1_PIDS, 9),  # hybrid: runtimes use the v1 controllers
        (V2 + V1_SYSTEMD, 0),
        ("", 0),
    ],
)
def test_containers_are_named_by_the_hierarchy_that_runtimes_use(
    mounts: str, expected: int, tmp_path: Path
) -> None:
    (tmp_path / "mounts").write_text(mounts)
    assert container_hierarchy(8, 4, tmp_path) == expected


def test_a_controller_that_the_kernel_was_built_without_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text(V1_PIDS + V1_MEMORY)
    assert container_hierarchy(None, 4, tmp_path) == 5
    assert container_hierarchy(None, None, tmp_path) == 0


def test_without_proc_the_unified_hierarchy_is_taken(tmp_path: Path) -> None:
    assert container_hierarchy(8, 4, tmp_path / "gone") == 0
