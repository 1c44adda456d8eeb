# SPDX-License-Identifier: Apache-2.0
"""`STATE_DIR/cursor`: up to where rules were evaluated, and what has to be known to go on there.

The first line is a cursor of the log, as exporters write it; the second one JSON. It is replaced
atomically, and only with a state whose detections are on disk: one that is too old costs a little work,
one that is too new would cost detections.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.log.entry import Cursor
from agent.log.followers import CURSOR_NAME

State = dict[str, Any]
MOST_CURSOR = 128
"""Bytes of a cursor as text: what is longer is none, and no error names all of it."""


class Place(NamedTuple):
    """Where an evaluation stands."""

    cursor: Cursor
    """What comes before was evaluated, and what was found is told."""
    state: State
    """Open stories and counters at this place, as JSON."""

    def encode(self) -> bytes:
        """As it stands in the file; later changes of the state do not count."""
        return b"%b\n%b\n" % (str(self.cursor).encode(), orjson.dumps(self.state))


class PlaceFile:
    """Loads and saves. A place is saved once it is `settle_s` old, in seconds: what it stands for is on disk
    by then, also after a power cut."""

    def __init__(self, directory: Path, settle_s: float) -> None:
        self.settle_s = settle_s
        self._path = directory / CURSOR_NAME
        self._new = directory / f"{CURSOR_NAME}.new"
        self._waiting: deque[tuple[float, bytes]] = deque()

    def load(self) -> Place | None:
        """None when there is none. Raises ValueError when it is damaged, OSError."""
        try:
            first, _, rest = self._path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        state = orjson.loads(rest or b"{}")
        if not isinstance(state, dict):
            raise ValueError("the state is no object")
        return Place(Cursor.parse(first[:MOST_CURSOR].decode("ascii", "replace")), state)

    def note(self, place: bytes, now_s: float) -> None:
        """A place (`Place.encode`) whose detections stand in the log now (monotonic seconds)."""
        self._waiting.append((now_s, place))

    @property
    def is_waiting(self) -> bool:
        """Whether there is one that is not old enough."""
        return bool(self._waiting)

    def save(self, now_s: float) -> None:
        """Writes the newest one that is old enough. Raises OSError."""
        content = b""
        while self._waiting and self._waiting[0][0] <= now_s - self.settle_s:
            content = self._waiting.popleft()[1]
        if content:
            self._write(content)

    def _write(self, content: bytes) -> None:
        fd = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fdatasync(fd)  # else a power cut may leave the new name with nothing in it
        self._new.rename(self._path)
