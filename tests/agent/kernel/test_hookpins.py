# SPDX-License-Identifier: Apache-2.0
"""Names of hooks on a bpffs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import KernelUnsupported, PermissionMissing
from agent.kernel import hookpins
from agent.kernel.mapfill import PROGRAM_ARRAY, make_map
from agent.kernel.template import MapForm
from tests.agent.kernel.support import become_nobody, in_child, mounted_bpffs

pytestmark = pytest.mark.kernel


def test_names_hold_no_dot_and_are_read_back(tmp_path: Path) -> None:
    target = "sched/do.part.0"
    place = hookpins.place_of(tmp_path, "kprobe", target)
    assert "." not in place.name
    place.mkdir(parents=True)
    assert [(kind, name) for kind, name, _ in hookpins.pinned(tmp_path)] == [("kprobe", target)]


def test_an_array_without_a_link_is_not_taken_over(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        place = hookpins.place_of(directory, "fentry", "f")
        array = make_map("array", MapForm(PROGRAM_ARRAY, 4, 4, 1, 0))
        hookpins.pin(place, programs=array.fd)
        os.close(array.fd)
        before = os.listdir("/proc/self/fd")
        assert hookpins.find(place, 1) is None
        assert os.listdir("/proc/self/fd") == before


def test_unpinning_leaves_no_folder_and_no_stranger(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        array = make_map("array", MapForm(PROGRAM_ARRAY, 4, 4, 1, 0))
        for target in ("f", "g"):
            hookpins.pin(hookpins.place_of(directory, "fentry", target), programs=array.fd)
        os.close(array.fd)
        (directory / "somebody").mkdir()
        assert hookpins.unpin_all(directory) == ["fentry f", "fentry g"]
        assert not (directory / "hooks").exists()
        assert (directory / "somebody").exists()


def test_who_may_not_look_is_not_told_that_nothing_is_pinned(tmp_path: Path) -> None:
    hookpins.place_of(tmp_path, "fentry", "f").mkdir(parents=True)
    tmp_path.chmod(0o700)

    def unpin_as_nobody() -> str:
        become_nobody()
        try:
            hookpins.unpin_all(tmp_path)
        except PermissionMissing as error:
            return error.message
        return ""

    assert "cannot be looked into" in in_child(lambda: None, unpin_as_nobody)


def test_elsewhere_nothing_is_pinned(tmp_path: Path) -> None:
    with pytest.raises(KernelUnsupported, match="is not on a bpffs"):
        hookpins.pin(tmp_path / "hooks" / "fentry" / "f", link=0)
