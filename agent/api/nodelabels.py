# SPDX-License-Identifier: Apache-2.0
"""Labels of the node in Kubernetes, which Tetragon's clients find beside each event (`node_labels`). They are
the same for all events, so they are no part of the log."""

from __future__ import annotations

import asyncio

from agent.api.link import AgentLink, AgentSilent
from agent.api.proto.tetragon import events_pb2

LOOK_S = 30.0
"""How often the agent is asked for them while there are streams, in seconds."""
ANSWER_S = 1.0
"""How long its answer is waited for, in seconds: the first stream waits for it."""


class NodeLabels:
    """The labels, as the agent told them last."""

    def __init__(self, agent: AgentLink) -> None:
        self._agent = agent
        self.field = b""
        """The field of a GetEventsResponse. Put behind a message it is a part of it: fields may stand in any
        order (Protocol Buffers documentation, "Encoding: Message Structure")."""

    async def look(self) -> None:
        """Asks once. Without an answer they stay as they were."""
        try:
            labels = (await self._agent.ask("node", ANSWER_S)).get("labels")
        except AgentSilent:
            return
        if isinstance(labels, dict):
            texts = {str(name): str(value) for name, value in labels.items()}
            self.field = events_pb2.GetEventsResponse(node_labels=texts).SerializeToString()

    async def watch(self) -> None:
        """Asks again and again."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()
