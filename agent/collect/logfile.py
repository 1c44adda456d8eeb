# SPDX-License-Identifier: Apache-2.0
"""One log file by its name, through rotation: renamed, copied and truncated, removed, missing, forbidden."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from agent.collect.cutting import Line
from agent.collect.opened import BACKLOG_BYTES, Opened, Spot

OLD_S = 10.0
"""A file that lost its name is read on until nothing has come for so long, in seconds: its writer is told to
open the new one after that has been made (logrotate(8), postrotate)."""
MOST_OLD = 4
"""Such files at a time."""
LOOK_S = 1.0
"""How often a file that is not there is looked for, in seconds."""
_SIBLINGS = 1000


class LogFile:
    """Follows a name. Nothing here raises: what is wrong is `problem`."""

    def __init__(self, path: str, line_bytes: int, spot: Spot | None, is_first: bool) -> None:
        """`spot`: where it was read up to before. `is_first`: nobody has followed it yet, so what stands
        in it is passed over."""
        self.path, self._line_bytes = path, line_bytes
        self._spot, self._is_first = spot, is_first
        self._now: Opened | None = None
        self._old: list[tuple[Opened, float]] = []
        """With the time of their last line, in seconds of the caller's clock."""
        self._look_at = 0.0
        self.problem = ""
        """Why it cannot be read; empty while it can."""
        self.lost: list[tuple[str, int]] = []
        """What was left out since it was last taken from here: cause, and how many lines; see worker.py."""

    @property
    def is_begun(self) -> bool:
        """Whether it is known where reading begins."""
        return not self._is_first

    def spot(self) -> Spot | None:
        """Where to go on: the oldest file that is not done."""
        with suppress(OSError):
            for opened in [*(one for one, _ in self._old), *([self._now] if self._now else [])]:
                if opened is self._now or opened.unread() or opened.spot().offset < opened.read_to:
                    return opened.spot()
        return self._spot

    def lines(self, now: float) -> Iterator[Line]:
        """What has come, a piece of each file; ask again while something comes. `now`: monotonic seconds."""
        try:
            self._look(now)
        except OSError as error:
            self._fail(error)
        try:
            yield from self._of_old(now)
            if self._now is not None:
                yield from self._of(self._now)
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Closes all."""
        for opened in [*(one for one, _ in self._old), *([self._now] if self._now else [])]:
            opened.close()
        self._old, self._now = [], None

    def _look(self, now: float) -> None:
        """Whether the name stands for another file than before."""
        if self._now is None:
            if now >= self._look_at:
                self._look_at = now + LOOK_S
                self._open(now)
            return
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return  # between two: the old one is read on until there is a new one
        if (found.st_dev, found.st_ino) != self._now.key:
            self._old.append((self._now, now))
            self._now = None
            if len(self._old) > MOST_OLD:
                self._old.pop(0)[0].close()
            self._open(now)

    def _open(self, now: float) -> None:
        opened = Opened(self.path, self._line_bytes)
        self.problem = ""
        spot, self._spot = self._spot, None
        if self._is_first:
            opened.seek_end()
        elif spot is not None and not (
            opened.ino == spot.ino and opened.dev == spot.dev and opened.seek(spot)
        ):
            self._take_up(spot, now)
        self._now, self._is_first = opened, False

    def _take_up(self, spot: Spot, now: float) -> None:
        """The file in which reading ended before, by another name beside this one."""
        directory, name = os.path.split(self.path)
        with suppress(OSError), os.scandir(directory) as entries:
            for _, entry in zip(range(_SIBLINGS), entries, strict=False):
                if entry.name.startswith(name) and entry.inode() == spot.ino and entry.path != self.path:
                    old = Opened(entry.path, self._line_bytes)
                    if old.seek(spot):
                        self._old.append((old, now))
                        return
                    old.close()
        self.lost.append(("line_gap", 1))

    def _of_old(self, now: float) -> Iterator[Line]:
        """Of files that lost their name: read to their end and, when nobody writes any more, closed."""
        if not self._old:
            return
        opened, last = self._old[0]
        found = list(self._of(opened))
        if found:
            self._old[0] = (opened, now)
            yield from found
        elif now - last > OLD_S or len(self._old) > 1:
            self._old.pop(0)
            if (rest := opened.rest()) is not None:
                yield rest
            opened.close()

    def _of(self, opened: Opened) -> Iterator[Line]:
        if opened.begin_anew():
            self.lost.append(("line_gap", 1))
        if opened.unread() > BACKLOG_BYTES:
            self.lost.append(("line_rate", opened.pass_over()))
        yield from opened.read()

    def _fail(self, error: OSError) -> None:
        self._is_first = self._is_first and not isinstance(error, FileNotFoundError)
        self.problem = f"{self.path}: {error.strerror or error}"
        if self._now is not None:
            with suppress(OSError):
                self._spot = self._now.spot()
            with suppress(OSError):
                self._now.close()
            self._now = None
