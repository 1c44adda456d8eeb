# SPDX-License-Identifier: Apache-2.0
"""What the agent tells the process when it starts it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import orjson


@dataclass(frozen=True, slots=True)
class Options:
    """Handed over as one JSON argument."""

    log_dir: str
    """Directory of the log's segments."""
    user: str
    """Name of the user that the process becomes when it was started as root; see agent.api.privileges."""
    labels: tuple[str, ...]
    """Labels of events; see MetricsSettings."""
    max_series: int
    """Most series of one metric."""

    def encode(self) -> str:
        """The argument."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError or TypeError when the argument is not one of ours."""
        told = orjson.loads(text)
        return cls(**{**told, "labels": tuple(told["labels"])})
