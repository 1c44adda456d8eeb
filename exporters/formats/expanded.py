# SPDX-License-Identifier: Apache-2.0
"""`expanded`: what Tetragon writes with everything switched on, every process in full (agent/log/expand.py).

Our own key `tracehound` stays: it holds the sequence number, by which a receiver proves completeness.
"""

from __future__ import annotations

from typing import Any

import orjson

from agent.log.expand import Expander
from exporters.formats import Format, Origin

MAX_PROCESSES = 32768
"""Processes that are remembered, about 1.9 kB each; those that have exited are forgotten first."""


def make() -> Format:
    """The format, with a memory of processes of its own."""
    return Expanded()


class Expanded:
    """Expands and encodes."""

    def __init__(self) -> None:
        self._expander = Expander(MAX_PROCESSES)
        self.learn = self._expander.learn

    def __call__(self, record: dict[str, Any], origin: Origin) -> bytes:
        """The expanded record."""
        return orjson.dumps(self._expander.expand(record, tracehound=True))
