# SPDX-License-Identifier: Apache-2.0
"""One process at a time changes the store: compactor, `store compact` and `store reindex` would write
the same files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import AlreadyRunning
from agent.store.layout import store_dir

LOCK = "compact.lock"


@contextmanager
def alone(log_dir: Path) -> Iterator[None]:
    """Holds `store/compact.lock`. Raises AlreadyRunning when another process does, and OSError."""
    store_dir(log_dir).mkdir(mode=0o750, exist_ok=True)
    lock = os.open(store_dir(log_dir) / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another compactor is at work in {store_dir(log_dir)}", "it takes seconds: try again"
            ) from None
        yield
    finally:
        os.close(lock)
