# SPDX-License-Identifier: Apache-2.0
"""What tests of posts share: sensors behind posts, and what they know of a process."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.decode.header import HEAD, KIND_EXEC
from agent.kernel.posts import Posts
from agent.kernel.sensor import Sensor
from agent.settings import KernelSettings
from tests.agent.kernel.support import wait_until


@contextmanager
def standing(
    directory: Path, *, is_kept: bool = False, entries: int = 4096, ring: int = 1 << 18
) -> Iterator[tuple[Sensor, Posts]]:
    """A sensor behind posts, for as long as an agent would live."""
    posts = Posts(directory)
    sensor = Sensor(KernelSettings(ring_bytes=ring, process_entries=entries, pin_dir=str(directory)), posts)
    sensor.open()
    try:
        if is_kept:
            posts.keep()
        yield sensor, posts
    finally:
        sensor.detach()
        sensor.close()


def entry(sensor: Sensor, tgid: int) -> bytes | None:
    """struct process of a living process."""
    return sensor._processes.lookup(struct.pack("=I", tgid))


@contextmanager
def sleeping() -> Iterator[int]:
    """The pid of a process that begins, executes and stays."""
    child = subprocess.Popen(["/bin/sleep", "600"])
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


def kinds_of(sensor: Sensor, tgid: int) -> list[int]:
    """Kinds of the records about a process up to its exec, sorted."""
    found: list[int] = []

    def has_executed() -> bool:
        found.extend(drained(sensor, tgid))
        return KIND_EXEC in found

    assert wait_until(has_executed)
    return sorted(found)


def drained(sensor: Sensor, tgid: int) -> list[int]:
    """Kinds of the records about a process that wait in the ring, which is emptied."""
    found = []
    while records := sensor.ring.drain():
        found += [record[0] for record in records if HEAD.unpack_from(record)[3] == tgid]
    return found
