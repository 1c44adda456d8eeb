# SPDX-License-Identifier: Apache-2.0
"""Writes, compacts and exports a log, and kills itself: `killed.py LOGDIR STATE_DIR POINT MODE CALL`.

POINT is a row of POINTS; at the CALLth call of it the process ends by SIGKILL `before` or `after` the call,
or with `half` of what was to be written. A Parquet file is a copy of the lines here: what is in it does not
matter.

On standard output: `a N` when everything up to record N is on disk by what the settings promise, `r N` when
an exporter has delivered record N.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.log.compaction import parquet_name
from agent.log.fingerprint import fingerprint
from agent.log.followers import read_followers
from agent.log.ledger import Ledger
from agent.log.manifest import Compaction, read_manifest
from agent.log.reader import LogReader
from agent.log.writer import LogWriter
from agent.settings import LogSettings
from exporters.cursor import CursorFile, Place
from tests.agent.log.conftest import FACTS, event

POINTS: dict[str, tuple[Any, str]] = {
    "write": (os, "write"),
    "fsync": (os, "fdatasync"),
    "rotate": (Path, "rename"),
    "manifest": (Ledger, "flush"),
    "compact": (Ledger, "note_compacted"),
    "unlink": (Path, "unlink"),
    "cursor": (CursorFile, "save"),
}
"""Where it can be killed: what is called there. `rotate` also names Parquet files."""
EXPORTER = "siem"
LINES = [event(f"program-{i}") for i in range(20)]
BATCHES = 400
_write = os.write


def arm(point: str, mode: str, call: int) -> None:
    """Replaces the point's function by one that kills."""
    owner, name = POINTS[point]
    real: Callable[..., Any] = getattr(owner, name)
    left = call

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left:
            return real(*arguments, **named)
        try:
            if mode == "half":
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            elif mode == "after":
                real(*arguments, **named)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(owner, name, deadly)


def tell(letter: str, number: int) -> None:
    """To the parent."""
    _write(1, f"{letter} {number}\n".encode())


def compact_one(writer: LogWriter, directory: Path) -> None:
    """The oldest closed segment that is not compacted."""
    manifest = read_manifest(directory)
    for segment, closed in manifest.closed.items():
        if segment not in manifest.compacted and closed.boot_id:
            new = directory / (parquet_name(segment) + ".new")
            new.parent.mkdir(exist_ok=True)
            shutil.copyfile(directory / segment, new)
            digest = fingerprint(new).sha256
            first, last = closed.first_sequence, closed.last_sequence
            writer.publish_compacted(Compaction(segment, closed.sha256, digest, closed.lines, first, last))
            return


def export(reader: LogReader, cursor: CursorFile) -> None:
    """Delivers what is there and saves the place."""
    place = cursor.load()[0]
    for entry in reader.read(place.cursor if place else None):
        tell("r", entry.sequence)
        place = Place(entry.cursor, "")
    if place is not None:
        cursor.save(place)


def main(log_dir: str, state_dir: str, point: str, mode: str, call: str) -> None:
    """Ends by SIGKILL, or by itself after BATCHES batches."""
    directory, state = Path(log_dir), Path(state_dir)
    (state / EXPORTER).mkdir(parents=True, exist_ok=True)
    cursor, reader = CursorFile(state / EXPORTER / "cursor"), LogReader(directory)
    settings = LogSettings(dir=log_dir, group="", fsync_seconds=0, segment_bytes=20_000)
    writer = LogWriter(settings, replace(FACTS), followers=lambda: read_followers(state, {EXPORTER: True}))
    if point in POINTS:
        arm(point, mode, int(call))
    writer.open()
    for batch in range(BATCHES):
        writer.append(LINES)
        tell("a", writer.last_sequence)
        if batch % 5 == 4:
            export(reader, cursor)
            writer.tick()
        if batch % 7 == 6:
            compact_one(writer, directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
