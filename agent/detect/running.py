# SPDX-License-Identifier: Apache-2.0
"""The engine as the tools use it, and its making: what runs over the past is what runs live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from agent.detect.exceptions import Exceptions
from agent.detect.rules import Rule

Record = Mapping[str, Any]


class Hit(Protocol):
    """A rule that an event matched."""

    @property
    def rule(self) -> Rule:
        """Which one."""


class Engine(Protocol):
    """agent.detect.engine.Engine."""

    def feed(self, record: dict[str, Any]) -> Sequence[Hit]:
        """What matched a record, which is learnt as well."""

    def learn(self, record: dict[str, Any]) -> object:
        """What a record says of boots and processes, nothing evaluated."""

    def knows(self, exec_id: str) -> bool:
        """Whether what a process executed is remembered."""


def engine_of(rules: Iterable[Rule], exceptions: Exceptions | None = None) -> Engine:
    """A compiled set of rules."""
    made: Engine = import_module("agent.detect.engine").Engine(tuple(rules), exceptions or Exceptions())
    return made


def contents_of(hits: Sequence[Hit]) -> Iterator[dict[str, Any]]:
    """Contents of `tracehound.detection` for the hits of one event, without `story`."""
    content_of = import_module("agent.detect.detection").content_of
    for hit in hits:
        yield content_of(hit, hits)


def detections_in(engine: Engine, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What records give, in their order."""
    for record in records:
        hits = engine.feed(record)
        if hits:
            yield from contents_of(hits)
