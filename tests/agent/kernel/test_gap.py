# SPDX-License-Identifier: Apache-2.0
"""Records that pinned programs sent while nobody read are counted. tests/agent/test_policing.py has more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from agent.decode.header import KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_HOOK
from agent.kernel import hookpins
from agent.kernel.gap import Gap
from agent.kernel.mapfill import make_map
from agent.kernel.template import MapForm
from tests.agent.kernel.posting import standing
from tests.agent.kernel.support import mounted_bpffs

pytestmark = [pytest.mark.root, pytest.mark.kernel]
KINDS = {KIND_EXEC: "exec", KIND_FORK: "fork", KIND_EXIT: "exit", KIND_HOOK: "policy"}


def test_without_pins_there_is_no_gap(tmp_path: Path) -> None:
    assert Gap(tmp_path).count(KINDS) == {}


def test_an_array_without_programs_is_no_gap_and_nothing_stays_open(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as directory:
        array = make_map("th_dispatch", MapForm(3, 4, 4, 8, 0))
        hookpins.pin(hookpins.place_of(directory, "lsm", "file_open"), programs=array.fd)
        before = len(os.listdir("/proc/self/fd"))
        assert Gap(directory).count(KINDS) == {}
        assert len(os.listdir("/proc/self/fd")) == before
        os.close(array.fd)


@pytest.mark.parametrize("ring", [1 << 18, 1 << 13], ids=["waiting", "without room"])
def test_what_the_sensor_saw_while_nobody_read_is_counted_once(tmp_path: Path, ring: int) -> None:
    with mounted_bpffs(tmp_path / "bpf") as mounted:
        directory = mounted / "th"
        with standing(directory, is_kept=True, ring=ring) as (sensor, _):
            sensor.told(sensor.losses())
        for _ in range(20):
            subprocess.run(["true"], check=True)
        gap = Gap(directory)
        with standing(directory) as (_, posts):
            posts.drop_unclaimed()
            found = gap.count(KINDS)
        assert all(found[hook] >= 20 for hook in ("exec", "fork", "exit"))
        assert found["policy"] == 0
        assert Gap(directory).count(KINDS) == {}


def test_losses_that_stand_in_the_log_are_not_told_again(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as mounted:
        directory = mounted / "th"
        with standing(directory, is_kept=True, ring=1 << 13) as (sensor, _):
            for _ in range(20):
                subprocess.run(["true"], check=True)
            lost = sensor.losses()
            sensor.told(lost)
        found = Gap(directory).count(KINDS)
        assert 0 < found["exec"] < 20 <= found["exec"] + lost["ring_full", "exec"]
