# SPDX-License-Identifier: Apache-2.0
"""The sensor's programs hang by themselves in a foreground run, and behind posts in a service."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.kernel.choices import Choice
from agent.kernel.sensor import Sensor
from agent.kernel.standing import Standing
from agent.settings import KernelSettings
from tests.agent.kernel.posting import standing
from tests.agent.kernel.support import mounted_bpffs

pytestmark = [pytest.mark.root, pytest.mark.kernel]


def test_by_itself_a_program_hangs_where_its_section_says() -> None:
    sensor = Sensor(KernelSettings(ring_bytes=1 << 18))
    sensor.open()
    hung = sensor._standing
    fork = ("fork", sensor.programs["fork"].choice, sensor.programs["fork"].choice.program)
    assert hung.is_attached(*fork) and not hung.outlives(*fork[:2])
    hung.detach(*fork)
    assert not hung.is_attached(*fork)
    sensor.close()


def test_behind_a_post_a_program_may_outlive_us_but_not_what_cannot_be_jumped_to(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as mounted, standing(mounted / "th") as (sensor, posts):
        hung = Standing(sensor._object, posts)
        choice = sensor.programs["fork"].choice
        assert hung.is_attached("fork", choice, choice.program)
        assert not hung.outlives("fork", choice)
        posts.keep()
        assert hung.outlives("fork", choice)
        assert not hung.outlives("fork", Choice("fork_kprobe", "kprobe"))
        assert not hung.outlives("privileges", Choice("privileges_btf", "tp_btf"))
        posts.let_go()


def test_what_the_kernel_skipped_is_asked_of_the_post(tmp_path: Path) -> None:
    with mounted_bpffs(tmp_path / "bpf") as mounted, standing(mounted / "th") as (sensor, _):
        choice = sensor.programs["exec"].choice
        assert sensor._standing.skipped("exec", choice, choice.program) == 0
