# SPDX-License-Identifier: Apache-2.0
"""`STATE_DIR/place.json`: up to where files and the journal were read. Replaced atomically."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.collect.opened import Spot

NAME = "place.json"


class Place(NamedTuple):
    """What was read."""

    files: dict[str, Spot]
    """By path; of files that were not there yet nothing."""
    paths: frozenset[str]
    """All files that were followed."""
    cursor: str
    """Of the journal; empty: nothing was read."""


NOWHERE = Place({}, frozenset(), "")


def load(directory: Path) -> Place:
    """NOWHERE when there is none. Raises ValueError when it is damaged, OSError."""
    try:
        said = orjson.loads((directory / NAME).read_bytes())
    except FileNotFoundError:
        return NOWHERE
    try:
        files = {str(path): _spot(values) for path, values in said["files"].items()}
        return Place(files, frozenset(map(str, said["paths"])), str(said["cursor"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not what was saved: {error!r}") from None


def save(directory: Path, place: Place) -> None:
    """Raises OSError."""
    new = directory / f"{NAME}.new"
    files = {path: list(spot) for path, spot in place.files.items()}
    content = orjson.dumps({"files": files, "paths": sorted(place.paths), "cursor": place.cursor})
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fdatasync(fd)
    new.rename(directory / NAME)


def _spot(values: Any) -> Spot:
    dev, ino, offset, tail = values
    bytes.fromhex(tail)
    if not (type(dev) is type(ino) is type(offset) is int and offset >= 0):
        raise TypeError("numbers of a file")
    return Spot(dev, ino, offset, tail)
