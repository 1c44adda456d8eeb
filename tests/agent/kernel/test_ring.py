# SPDX-License-Identifier: Apache-2.0
"""Reading a real ring buffer."""

from __future__ import annotations

import select
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

from agent.errors import KernelRefused
from agent.kernel.ring import Ring
from agent.kernel.sensor import Sensor
from agent.settings import KernelSettings

pytestmark = pytest.mark.kernel


@pytest.fixture
def sensor() -> Iterator[Sensor]:
    opened = Sensor(KernelSettings(ring_bytes=1 << 18, process_entries=4096))
    opened.open()
    yield opened
    opened.close()


def run_some(count: int = 3) -> None:
    for number in range(count):
        subprocess.run(["/bin/true", f"number {number}"], check=True)


def test_records_come_in_order_and_once(sensor: Sensor) -> None:
    run_some()
    records = sensor.ring.drain()
    numbers = [int(record.split(b"number ")[1][:1]) for record in records if b"number " in record]
    assert numbers == [0, 1, 2]
    assert not [record for record in sensor.ring.drain() if b"number " in record]


def test_a_batch_has_an_end(sensor: Sensor) -> None:
    run_some()
    small = Ring(sensor.map_fd("events"), 1 << 18, batch=2)
    try:
        assert [len(small.drain()), len(small.drain())] == [2, 2]
    finally:
        small.close()


def test_what_waits_is_counted(sensor: Sensor) -> None:
    run_some()
    assert sensor.ring.backlog() > 0
    assert 0 < sensor.ring.fill() < 1


def test_the_reader_is_woken(sensor: Sensor) -> None:
    sensor.ring.drain()
    poll = select.epoll()
    poll.register(sensor.ring.fileno(), select.EPOLLIN)
    run_some(1)
    assert poll.poll(10)
    poll.close()


def test_a_closed_ring_gives_nothing(sensor: Sensor) -> None:
    run_some()
    sensor.ring.close()
    sensor.ring.close()
    assert sensor.ring.drain() == []
    assert sensor.ring.backlog() == 0


def test_what_is_no_ring_is_refused() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(KernelRefused, match="ring buffer"):
        Ring(file.fileno(), 4096)
