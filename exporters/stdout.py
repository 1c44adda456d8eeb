# SPDX-License-Identifier: Apache-2.0
"""`stdout`: one document per line on standard output, where a container runtime collects it, and for trying.

A child of the agent shares the agent's standard output; whole batches are written, so lines do not mix.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from exporters import options
from exporters.base import Batching, Context, Document, Sent, TryAgain

BATCHING = Batching(events=1000, bytes=1 << 20, seconds=0.2, needs_record=False)


@dataclass(frozen=True, slots=True)
class OPTIONS:
    """`type: stdout` has no keys of its own."""

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> Stdout:
    """Make the destination. Raises OptionError."""
    OPTIONS.parse(context.options)
    return Stdout(1)


class Stdout:
    """A file descriptor that somebody reads."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def send(self, batch: Sequence[Document]) -> Sent:
        """Writes the batch. Raises TryAgain when nobody reads any more."""
        left = memoryview(b"\n".join([*(document.body for document in batch), b""]))
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError as error:
            raise TryAgain(f"standard output: {error.strerror}", needs_operator=True) from None
        return Sent()

    def close(self) -> None:
        """Standard output stays open."""
