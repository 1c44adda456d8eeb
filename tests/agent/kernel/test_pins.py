# SPDX-License-Identifier: Apache-2.0
"""The pinned process map over restarts, upgrades and mistakes."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel import pins, tiny
from agent.kernel.btf import Btf
from agent.kernel.libbpf import libbpf
from agent.kernel.links import fd_facts
from agent.kernel.objects import BpfObject
from agent.kernel.pins import open_pinned_processes, pin_path
from agent.kernel.sensor import Sensor
from agent.settings import KernelSettings
from tests.agent.kernel.support import mounted_bpffs

pytestmark = pytest.mark.kernel


@pytest.fixture
def pinned(tmp_path: Path) -> Iterator[KernelSettings]:
    """Settings that pin below a bpffs of our own."""
    with mounted_bpffs(tmp_path / "bpf") as directory:
        yield KernelSettings(ring_bytes=1 << 18, process_entries=4096, pin_dir=str(directory / "tracehound"))


def opened(settings: KernelSettings) -> Sensor:
    sensor = Sensor(settings)
    sensor.open()
    return sensor


def map_number(sensor: Sensor) -> str:
    return fd_facts(sensor.map_fd("processes"))["map_id"]


def path_of(settings: KernelSettings) -> Path:
    return pin_path(Path(settings.pin_dir or ""))


def entry(sensor: Sensor, tgid: int) -> bytes | None:
    return sensor._processes.lookup(struct.pack("=I", tgid))


def test_the_map_outlives_the_sensor_and_is_used_again(pinned: KernelSettings) -> None:
    first = opened(pinned)
    first.existing_tasks()
    number = map_number(first)
    mine = entry(first, os.getpid())
    first.close()
    second = opened(pinned)
    try:
        assert map_number(second) == number
        assert mine is not None
        assert entry(second, os.getpid()) == mine
        assert second.notices == []
    finally:
        second.close()


@pytest.mark.spread
def test_only_the_map_stays_pinned(pinned: KernelSettings) -> None:
    opened(pinned).close()
    assert [path.name for path in path_of(pinned).parent.iterdir()] == [path_of(pinned).name]


@pytest.mark.spread
def test_without_a_pin_directory_nothing_is_pinned(pinned: KernelSettings) -> None:
    opened(replace(pinned, pin_dir=None)).close()
    assert not path_of(pinned).parent.exists()


@pytest.mark.spread
def test_a_failed_start_pins_nothing(pinned: KernelSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: object, name: str) -> int:
        raise KernelRefused(f"cannot attach {name}", 1)

    monkeypatch.setattr(BpfObject, "attach", refuse)
    with pytest.raises(KernelRefused):
        opened(pinned)
    assert not path_of(pinned).exists()


@pytest.mark.spread
def test_a_process_that_ended_meanwhile_is_not_adopted(pinned: KernelSettings) -> None:
    first = opened(pinned)
    sleeper = subprocess.Popen(["/bin/sleep", "600"])
    first.existing_tasks()
    assert entry(first, sleeper.pid) is not None
    first.close()
    sleeper.kill()
    sleeper.wait()
    second = opened(pinned)
    try:
        assert entry(second, sleeper.pid) is None
        assert entry(second, os.getpid()) is not None
    finally:
        second.close()


@pytest.mark.spread
def test_a_pid_that_went_to_another_process_is_not_adopted(pinned: KernelSettings) -> None:
    first = opened(pinned)
    first.existing_tasks()
    key, value = struct.pack("=I", os.getpid()), entry(first, os.getpid())
    assert value is not None
    first._processes.update(key, struct.pack("=Q", 12345) + value[8:])  # somebody else's stamp
    first.close()
    second = opened(pinned)
    try:
        second.existing_tasks()
        assert (entry(second, os.getpid()) or b"")[:8] == value[:8]
    finally:
        second.close()


@pytest.mark.spread
def test_a_map_of_another_layout_is_not_used_and_said(
    pinned: KernelSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(pins, "LAYOUT_VERSION", pins.LAYOUT_VERSION + 41)
        first = opened(pinned)
        old_path, old_map = path_of(pinned), map_number(first)
        first.close()
    assert old_path.exists()
    second = opened(pinned)
    try:
        assert map_number(second) != old_map
        assert not old_path.exists()
        assert path_of(pinned).exists()
        assert any("layout of another version" in notice for notice in second.notices)
        assert entry(second, os.getpid()) is None
    finally:
        second.close()


@pytest.mark.spread
def test_a_map_of_another_size_is_replaced_and_said(pinned: KernelSettings) -> None:
    opened(pinned).close()
    second = opened(replace(pinned, process_entries=8192))
    try:
        assert any("it has another max_entries" in notice for notice in second.notices)
        assert fd_facts(second.map_fd("processes"))["max_entries"] == "8192"
    finally:
        second.close()


@pytest.mark.spread
def test_something_else_under_our_name_is_left_alone(pinned: KernelSettings) -> None:
    path_of(pinned).parent.mkdir()
    with Btf.of_kernel() as btf:
        program = tiny.load("raw_tp", "sched_process_exec", btf)
    assert libbpf().bpf_obj_pin(program, str(path_of(pinned)).encode()) == 0
    os.close(program)
    with pytest.raises(KernelUnsupported, match="is not a process map") as caught:
        opened(pinned)
    assert "remove it" in caught.value.hint
    assert path_of(pinned).exists()


@pytest.mark.spread
def test_a_pin_that_cannot_be_opened_is_named(pinned: KernelSettings) -> None:
    path_of(pinned).mkdir(parents=True)
    with pytest.raises(KernelRefused, match=r"open .*processes_v"):
        opened(pinned)


def test_a_directory_elsewhere_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(KernelUnsupported, match="is not on a bpffs") as caught:
        open_pinned_processes(tmp_path / "deep" / "below", {})
    assert "mount -t bpf" in caught.value.hint
    assert list(tmp_path.iterdir()) == []
