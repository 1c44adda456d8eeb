# SPDX-License-Identifier: Apache-2.0
"""What a segment is, found by reading it: after a crash, and for comparing it with what it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from agent.log.manifest import Closed
from agent.log.recovery import read_end, read_head
from agent.log.segments import SegmentName

BLOCK_BYTES = 1 << 20


class Fingerprint(NamedTuple):
    """Of a file."""

    sha256: str
    bytes: int
    lines: int
    """Line feeds in it."""


def fingerprint(path: Path) -> Fingerprint:
    """Reads all of a file. Raises OSError. About 1 s per GiB."""
    digest, size, lines = hashlib.sha256(), 0, 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
            lines += block.count(b"\n")
    return Fingerprint(digest.hexdigest(), size, lines)


def survey(directory: Path, name: SegmentName) -> Closed:
    """A segment of an earlier run as a closed one. Raises OSError."""
    path = directory / str(name)
    head, whole = read_head(path), fingerprint(path)
    boot_id = head["tracehound"]["segment"].get("boot_id", "") if head else ""
    last = read_end(path).sequence
    return Closed(str(name), name.first_sequence, last, whole.lines, whole.bytes, whole.sha256, boot_id)
