# SPDX-License-Identifier: Apache-2.0
"""Late answers about containers: an event is written at once, even while its pod is unknown, and the answer
follows as a record of its own.

The place between filter and format where the two are joined. No record announces a late answer yet, so
nothing is held: every event passes as it is.
"""

from __future__ import annotations

from typing import Any


class Joining:
    """Holds events that say that their container is not known yet, for at most `hold_s` seconds."""

    def __init__(self, hold_s: float) -> None:
        self.hold_s = hold_s

    def wait_s(self, record: dict[str, Any], now_s: float) -> float:
        """How long this record, and with it all that follow, still has to wait, in seconds; 0: it may go."""
        return 0.0

    def joined(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with what is known by now. The one that was given is not changed."""
        return record
