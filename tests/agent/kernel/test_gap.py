# SPDX-License-Identifier: Apache-2.0
"""Records that pinned hooks sent while nobody read are counted. tests/agent/test_policing.py has more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.kernel import hookpins
from agent.kernel.gap import Gap
from agent.kernel.mapfill import make_map
from agent.kernel.template import MapForm
from tests.agent.kernel.support import mounted_bpffs

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def test_without_pins_there_is_no_gap(tmp_path: Path) -> None:
    assert Gap(tmp_path).count(7) == 0


def test_an_array_without_programs_is_no_gap_and_nothing_stays_open(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        array = make_map("th_dispatch", MapForm(3, 4, 4, 8, 0))
        hookpins.pin(hookpins.place_of(directory, "lsm", "file_open"), programs=array.fd)
        before = len(os.listdir("/proc/self/fd"))
        assert Gap(directory).count(7) == 0
        assert len(os.listdir("/proc/self/fd")) == before
        os.close(array.fd)
