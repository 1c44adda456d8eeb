# SPDX-License-Identifier: Apache-2.0
"""Marks of a segment: its hash as it was every 16 KiB, so that a changed record is found among some fifteen.

`LOGDIR/<segment>.marks` is written when the segment is closed and goes with its lines; the manifest holds its
hash. It is a row of pairs: bytes so far (64 bits, little endian), and the first 8 bytes of their SHA-256.
docs/adr/0004 says why there is none per line.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from agent.log.segments import SegmentName

MARK_BYTES = 16 << 10
SUFFIX = ".marks"
_MARK = struct.Struct("<Q8s")


class MarkedHash:
    """SHA-256 of whole lines, and its marks."""

    __slots__ = ("_hash", "_marked", "bytes", "marks")

    def __init__(self) -> None:
        self.bytes = 0
        self.marks = bytearray()
        self._hash = hashlib.sha256()
        self._marked = 0  # bytes up to the last mark

    def update(self, data: bytes) -> None:
        """Takes in whole lines."""
        at = 0
        while self.bytes + len(data) - at - self._marked >= MARK_BYTES:
            end = data.find(b"\n", at + max(0, MARK_BYTES - (self.bytes - self._marked) - 1)) + 1
            self._hash.update(data[at:end])
            self.bytes += end - at
            self._marked, at = self.bytes, end
            self.marks += _MARK.pack(self.bytes, self._hash.copy().digest()[:8])
        self._hash.update(data[at:])
        self.bytes += len(data) - at

    def hexdigest(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


def marks_path(directory: Path, segment: str | SegmentName) -> Path:
    """Of a segment, by its file name."""
    return directory / f"{segment}{SUFFIX}"


def write_marks(path: Path, marks: bytes, gid: int | None) -> str:
    """Writes them and returns their SHA-256; empty when there are none or the disk refuses them, which only
    makes a search less exact."""
    if not marks:
        return ""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o640)
    except OSError:
        return ""
    try:
        if gid is not None:
            with suppress(PermissionError):  # not root and not a member
                os.fchown(fd, -1, gid)
        if os.write(fd, marks) == len(marks):
            return hashlib.sha256(marks).hexdigest()
    except OSError:
        pass
    finally:
        os.close(fd)
    with suppress(OSError):
        path.unlink()
    return ""


def read_marks(path: Path, sha256: str) -> Mapping[int, bytes]:
    """By bytes so far the first bytes of their hash; nothing when the file is gone or is not the one with
    this hash."""
    try:
        content = path.read_bytes() if sha256 else b""
    except OSError:
        return {}
    if hashlib.sha256(content).hexdigest() != sha256:
        return {}
    return dict(_MARK.iter_unpack(content))


def strays(directory: Path, kept: set[str]) -> Iterator[Path]:
    """Files of marks whose segment has no lines any more; `kept` are the names of those that have some."""
    for path in directory.glob(f"*.jsonl{SUFFIX}"):
        if path.name.removesuffix(SUFFIX) not in kept:
            yield path
