# SPDX-License-Identifier: Apache-2.0
"""The part of the log that was read, and its holes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Period:
    """What was read, and where it has holes."""

    end: str = ""
    """Time of the log's last record."""
    start: str = ""
    """Time of the first one that was read."""
    losses: list[dict[str, Any]] = field(default_factory=list)
    """Contents of `loss` records, and of the same shape the times when no agent ran."""
    reboots: list[str] = field(default_factory=list)
    """Times at which segments of another boot begin."""
    notes: list[str] = field(default_factory=list)
    """Sentences about how it was read."""
    _boot: str = ""
    _stopped: str = ""
    _last: str = ""

    def note(self, record: dict[str, Any]) -> None:
        """Take in any record, in the order of the log."""
        time = record.get("time", "")
        own = record.get("tracehound", {})
        if "start" in own:
            if self._stopped:
                self._gap("agent_not_running", self._stopped, time)
            self._stopped = ""
        elif "stop" in own:
            self._stopped = time
        elif "unclean_shutdown" in own:
            self._stopped = own["unclean_shutdown"].get("last_time", "")
        elif "loss" in own:
            self.losses.append(own["loss"])
        elif "notice" in own:
            self._gap("records_removed", self._last, "")
        elif "segment" in own:
            self._enter(own["segment"].get("boot_id", ""), time)
        self.start = self.start or time
        self._last = time or self._last

    def _enter(self, boot: str, time: str) -> None:
        if self._boot and boot != self._boot:
            self.reboots.append(time)
        self._boot = boot

    def _gap(self, cause: str, start: str, end: str) -> None:
        self.losses.append({"cause": cause, "from": start, "to": end or start})
