# SPDX-License-Identifier: Apache-2.0
"""What the agent tells the service when it starts it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Self

import orjson


@dataclass(frozen=True, slots=True)
class Options:
    """Handed over as one JSON argument."""

    log_dir: str
    """Directory of the log's segments."""
    client_queue_events: int
    """Events a client may lag behind before it skips ahead; see ApiSettings."""
    max_clients: int
    """Event streams served at once; see ApiSettings."""
    user: str
    """Name of the user that the service becomes when it was started as root; `nobody`'s number when this
    machine has no such user."""
    agent_started_ms: int
    """When the agent started, wall-clock milliseconds: nothing older is needed to know every process."""
    idle_s: float
    """How long the service stays without clients, in seconds."""
    hold_s: float = 0.0
    """How long streams hold the events of a container that is not known yet, in seconds."""
    unix: bool = True
    """Whether there is a Unix socket to serve."""
    tcp: bool = False
    """Whether there is a TCP socket to serve."""
    tls: bool = False
    """Whether that one speaks TLS."""
    renew_s: float = 20.0
    """How often the agent is asked for new certificates, in seconds."""
    deny_namespaces: list[str] = field(default_factory=list)
    """Whose events nobody gets, as shell patterns; see ApiSettings."""
    log_level: str = "warn"
    """From which level on it writes messages; a name of `agent.api.levels`."""

    def encode(self) -> str:
        """The argument."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError or TypeError when the argument is not one of ours."""
        return cls(**orjson.loads(text))
