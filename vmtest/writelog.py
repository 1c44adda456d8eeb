# SPDX-License-Identifier: Apache-2.0
"""A power cut, made of what QEMU's driver ``blklogwrites`` has noted: writes and flushes of a guest's disk.

A killed QEMU leaves in the host's page cache what the guest wrote and never flushed; a disk with a volatile
cache does not. So the disk after the cut is made anew: everything up to the last flush, and of the sectors
written after it none, or any of them in any mixture.

The format is dm-log-writes' (Linux, drivers/md/dm-log-writes.c and
Documentation/admin-guide/device-mapper/log-writes.rst; QEMU, block/blklogwrites.c), little-endian, all parts
padded to sectors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from vmtest.kernels import VmtestError

SECTOR_BYTES = 512
MAGIC = 0x6A736677736872
SUPER = struct.Struct("<QQQL")
"""Magic number, version, entries, bytes of a sector."""
ENTRY = struct.Struct("<QQQQ")
"""First sector, sectors (their data follows), flags, bytes of a mark (there are none)."""
FLUSH, FUA, DISCARD = 1, 2, 4


class Entry(NamedTuple):
    """Something that the guest asked of its disk."""

    sector: int
    flags: int
    place: int
    """Where its data stands in the log, in bytes."""
    length: int
    """Bytes of data; 0 for a flush."""


class Cut(NamedTuple):
    """What a power cut has done."""

    flushes: int
    sectors: int
    """Written before the last flush."""
    dropped: int
    """Sectors written after it that are gone."""
    kept: int
    """Sectors written after it that got to the disk all the same."""


def entries(log: IO[bytes]) -> list[Entry]:
    """All that are in the log whole. Raises VmtestError when one between others is not, because QEMU was
    killed while it wrote it: nothing is known of this cut then."""
    magic, version, count, sector_bytes = SUPER.unpack(log.read(SUPER.size))
    if (magic, version, sector_bytes) != (MAGIC, 1, SECTOR_BYTES):
        raise VmtestError(f"{log.name} is no log of writes")
    found = list(_entries(log))
    if len(found) < count:
        raise VmtestError(f"{log.name}: entry {len(found) + 1} of {count} is not whole; cut the power again")
    return found


def _entries(log: IO[bytes]) -> Iterator[Entry]:
    place = SECTOR_BYTES
    while True:
        log.seek(place)
        head = log.read(ENTRY.size)
        if len(head) < ENTRY.size or not any(head):
            return
        sector, sectors, flags, _ = ENTRY.unpack(head)
        if flags & DISCARD:
            raise VmtestError(f"{log.name}: a discard; the disk has to be without")
        yield Entry(sector, flags, place + SECTOR_BYTES, sectors * SECTOR_BYTES)
        place += SECTOR_BYTES + sectors * SECTOR_BYTES


def cut_power(disk: Path, log: Path, survives: Callable[[], bool]) -> Cut:
    """Brings a disk from what it was when QEMU started to what it is after a cut. ``survives`` is asked for
    every sector that was written after the last flush."""
    with log.open("rb") as source, disk.open("r+b") as target:
        found = entries(source)
        last = max((i for i, entry in enumerate(found) if entry.flags & (FLUSH | FUA)), default=-1)
        safe = _write(source, target, found[: last + 1], lambda: True)
        kept = _write(source, target, found[last + 1 :], survives)
        late = sum(entry.length // SECTOR_BYTES for entry in found[last + 1 :])
    flushes = sum(1 for entry in found if entry.flags & FLUSH)
    return Cut(flushes, safe, late - kept, kept)


def _write(source: IO[bytes], target: IO[bytes], chosen: Sequence[Entry], lands: Callable[[], bool]) -> int:
    """Returns how many sectors were written."""
    count = 0
    for entry in chosen:
        source.seek(entry.place)
        data = source.read(entry.length)
        for at in range(0, len(data), SECTOR_BYTES):
            if lands():
                target.seek(entry.sector * SECTOR_BYTES + at)
                target.write(data[at : at + SECTOR_BYTES])
                count += 1
    return count
