# SPDX-License-Identifier: Apache-2.0
"""The place up to which everything has been answered for, on disk.

`STATE_DIR/NAME/cursor`: the cursor (`<segment>:<offset>:<sequence>`) in the first line, the boot id in the
second, replaced atomically; retention reads it for required exporters (agent/log/followers.py). After a power
cut an older place may stand there: records then come twice, none is passed over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from agent.log.entry import Cursor
from agent.log.reader import LogReader
from agent.log.segments import SegmentName, list_segments
from agent.store.layout import compacted_segments

MOST_BYTES = 1024
"""Of the file that are looked at; one that we wrote has less than a hundred."""
FSYNC_S = 1.0
"""At most so often the file is forced to disk, in seconds."""


class Place(NamedTuple):
    """A place in the log."""

    cursor: Cursor
    boot_id: str
    """Boot of the records before it; empty when it is not known."""


class CursorFile:
    """One file with a place. `save` may fail (OSError); `load` never does."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path, self._new = path, path.with_name(path.name + ".new")
        self._monotonic = monotonic
        self._synced = -FSYNC_S
        self._saved: Place | None = None

    def load(self) -> tuple[Place | None, str]:
        """The place, and what is wrong with the file: (None, "") when there is none yet."""
        try:
            with self._path.open("rb") as file:
                first, _, rest = file.read(MOST_BYTES).decode("ascii").partition("\n")
            self._saved = Place(Cursor.parse(first), rest.strip())
            return self._saved, ""
        except FileNotFoundError:
            return None, ""
        except (OSError, ValueError) as error:
            return None, f"{self._path}: {str(error)[:200]}"

    def save(self, place: Place) -> None:
        """Replaces the file; does nothing when that place stands there already. Raises OSError."""
        if place == self._saved:
            return
        fd = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, f"{place.cursor}\n{place.boot_id}\n".encode("ascii", "replace"))
            if self._monotonic() - self._synced >= FSYNC_S:
                os.fsync(fd)
                self._synced = self._monotonic()
        finally:
            os.close(fd)
        self._new.replace(self._path)
        self._saved = place

    def remove(self) -> None:
        """There is no place any more. Raises OSError."""
        self._path.unlink(missing_ok=True)
        self._saved = None


def is_beyond(directory: Path, cursor: Cursor) -> bool:
    """Whether a place lies behind the end of the log: it belongs to another one, or the log was put back to
    an older state. Nothing would ever be read from there. A log without segments has no end."""
    place = SegmentName.parse(cursor.segment)
    try:
        live = list_segments(directory)
        newest = max([*live, *compacted_segments(directory)], default=None)
        if place is None or newest is None or place != newest:
            return bool(place and newest and place > newest)
        return place in live and cursor.offset > (directory / str(place)).stat().st_size
    except OSError:
        return False  # who reads the log says why


def place_at(reader: LogReader, since_ns: int) -> Cursor:
    """The place before the first record that happened at that time (wall-clock nanoseconds) or later; the end
    of the log when there is none. Raises LogUnavailable."""
    for entry in reader.read(since_ns=since_ns):
        if entry.line:
            begin = entry.offset - len(entry.line) - 1
            return Cursor(entry.segment, begin, entry.sequence - 1)
    return reader.end()
