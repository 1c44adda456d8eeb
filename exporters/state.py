# SPDX-License-Identifier: Apache-2.0
"""What an exporter tells of itself: `STATE_DIR/NAME/state.json`, replaced every second while it runs.

Counters go on through restarts; metrics, `tracehound export list` and health are made of these files.
"""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

NAME = "state.json"


@dataclass(slots=True)
class State:
    """All of it. Times are wall-clock seconds since 1970, 0 for never."""

    name: str
    type: str = ""
    format: str = ""
    required: bool = False
    state: str = "starting"
    """`starting`, `running`, `waiting` (to try again), `blocked` (an operator has to do something), `paused`,
    `replaying`, `stopped`, `failed` (cannot start)."""
    pid: int = 0
    started: float = 0.0
    updated: float = 0.0
    cursor: str = ""
    boot_id: str = ""
    lag_events: int = 0
    """Records of the log behind the cursor, those included that the filter leaves out."""
    lag_seconds: float = 0.0
    """How long ago the last record before the cursor happened; 0 when nothing is behind the cursor."""
    sent: int = 0
    """Documents that the destination accepted."""
    bytes: int = 0
    """Bytes of their bodies."""
    batches: int = 0
    refused: int = 0
    """Documents that it refused for good; they stand in dead.jsonl."""
    suppressed: int = 0
    """Events that the rate limit held back."""
    filtered: int = 0
    """Records that filter or format left out."""
    corrupt: int = 0
    """Pieces of the log that are no record."""
    retries: int = 0
    """Batches, or parts of one, that had to be sent again."""
    gaps: int = 0
    """Notices of records that were removed before they were read."""
    last_sent: float = 0.0
    last_error: str = ""
    """The last thing that went wrong; it stays when that is over."""
    last_error_at: float = 0.0

    def fail(self, reason: str) -> None:
        """Something went wrong."""
        self.last_error, self.last_error_at = reason, time.time()


_KEPT = (
    "sent",
    "bytes",
    "batches",
    "refused",
    "suppressed",
    "filtered",
    "corrupt",
    "retries",
    "gaps",
    "last_sent",
    "last_error",
    "last_error_at",
)
"""What goes on when a runner is started again."""


def read_state(directory: Path) -> State | None:
    """None when there is none, or none that can be understood."""
    try:
        told: dict[str, Any] = orjson.loads((directory / NAME).read_bytes())
        known = {field.name for field in dataclasses.fields(State)}
        return State(**{key: value for key, value in told.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def read_states(state_dir: Path) -> list[State]:
    """Of all exporters that ever ran with this directory, by name."""
    try:
        found = [read_state(path) for path in sorted(state_dir.iterdir())]
    except OSError:
        return []
    return [state for state in found if state is not None]


def write_state(directory: Path, state: State) -> None:
    """Replaces the file. Raises OSError."""
    state.updated = time.time()
    new = directory / f"{NAME}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(orjson.dumps(dataclasses.asdict(state)))
    new.replace(directory / NAME)


def resume_state(directory: Path, fresh: State) -> State:
    """A new run's state with the counters of the one before."""
    before = read_state(directory)
    if before is not None:
        for key in _KEPT:
            setattr(fresh, key, getattr(before, key))
    return fresh
