# SPDX-License-Identifier: Apache-2.0
"""`struct chunk_record`: a piece of an argument list or environment that is too long for the exec record.

Chunks of an image come in order, before its exec record, but records of other CPUs may lie between.
"""

from __future__ import annotations

from collections import OrderedDict
from struct import Struct

from agent.decode.header import HEAD_FORMAT
from agent.events import Garbage, Head

CHUNK = Struct("=" + HEAD_FORMAT + "HHI")
CHUNK_BYTES = 8192
_IMAGES_MOST = 64


class Chunks:
    """Chunks that wait for their exec record: at most _IMAGES_MOST images, the oldest are forgotten (their
    exec record was lost, or will say that chunks are missing)."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[int, int], dict[tuple[int, int], bytes]] = OrderedDict()
        self.incomplete = 0
        """Argument lists and environments of which chunks were missing."""

    def add(self, raw: bytes) -> Garbage | None:
        """Keeps one chunk record."""
        if len(raw) < CHUNK.size:
            return Garbage("chunk record too short", len(raw))
        _, _, _, tgid, _, ktime, _, _, _, stream, index, length = CHUNK.unpack_from(raw)
        if length > len(raw) - CHUNK.size:
            return Garbage("chunk record shorter than its data", len(raw))
        pieces = self._waiting.setdefault((tgid, ktime), {})
        pieces[stream, index] = raw[CHUNK.size : CHUNK.size + length]
        if len(self._waiting) > _IMAGES_MOST:
            self._waiting.popitem(last=False)
        return None

    def take(self, head: Head, stream: int, count: int) -> tuple[bytes, bool]:
        """All that arrived of a stream, in order, and whether no chunk is missing."""
        pieces = self._waiting.get((head.tgid, head.image_ktime), {})
        found = [pieces.pop((stream, index), None) for index in range(count)]
        if not pieces:
            self._waiting.pop((head.tgid, head.image_ktime), None)
        if None in found:
            self.incomplete += 1
        return b"".join(piece for piece in found if piece is not None), None not in found
