# SPDX-License-Identifier: Apache-2.0
"""Bytes to lines: whatever was written, each is a text of at most so many bytes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class Line(NamedTuple):
    """One line of a file."""

    text: str
    """Without its newline; bytes that are no UTF-8 stand as U+FFFD."""
    is_cut: bool = False
    """Whether it was longer."""


class Cutter:
    """Takes pieces of a file in their order. What has no newline yet waits, as far as it is kept."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of a line that are kept."""
        self._most = most
        self._begun = bytearray()
        self.waiting = 0
        """Bytes since the last newline, those that are not kept included."""
        self._length = 0
        """The same without NULs before the text."""

    def lines(self, data: bytes) -> Iterator[Line]:
        """Whole lines, empty ones left out."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._keep(part)
            line = self.flush()
            if line is not None:
                yield line
        self._keep(rest)

    def flush(self) -> Line | None:
        """What waits, as a line; None when it is empty. NULs are what copytruncate leaves before the text of
        a writer that does not append."""
        begun, length = self._begun, self._length
        self._begun, self._length, self.waiting = bytearray(), 0, 0
        text = bytes(begun).strip(b"\0\r").decode("utf-8", "replace")
        return Line(text, length > self._most) if text else None

    def _keep(self, part: bytes) -> None:
        self.waiting += len(part)
        part = part if self._length else part.lstrip(b"\0")
        self._begun += part[: max(0, self._most - len(self._begun))]
        self._length += len(part)
