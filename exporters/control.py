# SPDX-License-Identifier: Apache-2.0
"""What an operator asked of an exporter: `STATE_DIR/NAME/control.json`.

The command line writes it and the runner looks at it, whether the other one is there or not.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

NAME = "control.json"


@dataclass(frozen=True, slots=True)
class Replay:
    """Send a part of the log once more."""

    id: str
    """Of this request: it is carried out once."""
    since_ns: int
    """Wall-clock nanoseconds."""
    until_ns: int | None = None
    """None: everything from there on, the exporter's place is set back. Else it goes on where it was."""


@dataclass(frozen=True, slots=True)
class Control:
    """The wishes."""

    paused: bool = False
    replay: Replay | None = None


def read_control(directory: Path) -> Control:
    """Without a file, or with a damaged one, there are no wishes."""
    try:
        told: Any = orjson.loads((directory / NAME).read_bytes())
        replay = told.get("replay")
        return Control(told.get("paused") is True, Replay(**replay) if replay else None)
    except (OSError, ValueError, TypeError, AttributeError):
        return Control()


def write_control(directory: Path, **changes: Any) -> Control:
    """Changes the wishes and returns them. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    control = replace(read_control(directory), **changes)
    new = directory / f"{NAME}.{os.getpid()}"
    write_privately(new, orjson.dumps(asdict(control)))
    new.replace(directory / NAME)
    return control


def write_privately(path: Path, content: bytes) -> None:
    """With mode 0600, whatever the umask. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)


class Watched:
    """The file, read again when it has changed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stamp: tuple[int, int, int] | None = None
        self._control = Control()

    def look(self) -> Control:
        """The wishes as they are now; costs one stat."""
        try:
            stat = (self._directory / NAME).stat()
            stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._stamp, self._control = stamp, read_control(self._directory)
        return self._control
