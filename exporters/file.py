# SPDX-License-Identifier: Apache-2.0
"""`file`: one document per line in a file, for collectors that read files, as Tetragon's export file is read.

Names, sizes and rotation as Tetragon's `--export-filename` has them: 10 MB, 5 older files, mode 0600.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from exporters import options
from exporters.base import Batching, Context, Document, OptionError, Sent, TryAgain
from exporters.rotation import Rotating

BATCHING = Batching(events=2000, bytes=1 << 20, seconds=0.5, needs_record=False)


@dataclass(frozen=True, slots=True)
class OPTIONS:
    """Keys of `type: file`."""

    path: str
    """The file, absolute. Its directory must exist."""
    rotate_bytes: int = 10 << 20
    """It begins anew before it grows beyond this; 0: never for its size."""
    rotate_seconds: float = 0.0
    """It begins anew when it is this old; 0: never for its age."""
    keep: int = 5
    """How many older files are kept."""
    compress: bool = False
    """Whether older files are compressed (gzip)."""
    mode: str = "0600"
    """Permissions of new files, octal."""

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise OptionError("path", f"is {self.path!r}", "give an absolute path")
        if not Path(self.path).parent.is_dir():
            raise OptionError("path", f"{Path(self.path).parent} is no directory", "make it")
        options.check_range("keep", self.keep, 0, 100_000)
        options.check_range("rotate_bytes", self.rotate_bytes, 0, 1 << 50)
        options.check_range("rotate_seconds", self.rotate_seconds, 0, 1e9)
        if not self.mode.isdecimal() or not set(self.mode) <= set("01234567") or len(self.mode) > 4:
            raise OptionError("mode", f"is {self.mode!r}", 'give octal digits in quotes: "0640"')

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises OptionError."""
        return options.parse(cls, given)


def open(context: Context) -> File:
    """Make the destination; the file is opened with the first batch. Raises OptionError."""
    return File(OPTIONS.parse(context.options))


class File:
    """The file and its older ones."""

    def __init__(self, chosen: OPTIONS) -> None:
        self._rotating = Rotating(
            Path(chosen.path),
            most_bytes=chosen.rotate_bytes,
            most_seconds=chosen.rotate_seconds,
            keep=chosen.keep,
            compress=chosen.compress,
            mode=int(chosen.mode, 8),
        )

    def send(self, batch: Sequence[Document]) -> Sent:
        """Appends the batch. Raises TryAgain while the disk does not take it."""
        try:
            self._rotating.write(b"\n".join([*(document.body for document in batch), b""]))
        except OSError as error:
            raise TryAgain(f"{error.filename or 'writing'}: {error.strerror}") from None
        return Sent()

    def close(self) -> None:
        """Closes the file."""
        self._rotating.close()
