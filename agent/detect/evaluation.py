# SPDX-License-Identifier: Apache-2.0
"""Lines of the log in, records for the log out: the engine's hits as detections, gathered in stories.

What is found depends on the lines alone, so what was told before a crash is found again and left out
(`told`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import orjson

from agent.detect.detection import content_of, id_of
from agent.detect.engine import Engine, Hit, time_of
from agent.detect.loglines import KIND as LINE
from agent.detect.stories import Content, Stories, Told
from agent.log.entry import line_test
from agent.log.records import OWN_HEAD

FACTS = ("segment", "fork")
"""Own records that say something about processes and boots."""
_is_asked = line_test((*FACTS, LINE))
"""Own records that are looked at; no other one is."""


class Evaluation:
    """Where an evaluation stands, without its place in the log."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.stories = Stories()
        self.told: set[str] = set()
        """Keys of records that stand in the log after the place at which this began."""
        self.evaluated = self.hits = self.failed = 0
        """Events, hits (suppressed ones included), and events with which the engine failed."""
        self.last_time = ""
        """Of the newest event, as it stands there."""
        self.error = ""
        """Of the last event with which the engine failed."""
        self.by_rule: dict[str, int] = {}
        """Hits by the rule's id."""

    def take(self, lines: Iterable[bytes]) -> Iterator[Told]:
        """What is to be told because of lines of the log, in their order."""
        for line in lines:
            if line.startswith(OWN_HEAD) and not _is_asked(line):  # type: ignore[misc]  # never None with types
                continue
            try:
                found = self._told(orjson.loads(line))
            except Exception as error:  # one bad line or rule must not end all others
                self.failed += 1
                self.error = f"{type(error).__name__}: {error}"
                continue
            yield from self.fresh(found)

    def fresh(self, records: Iterable[Told]) -> Iterator[Told]:
        """Those that were not told before a crash."""
        for told in records:
            if not self.told or told.key not in self.told:
                yield told

    def _told(self, record: dict[str, Any]) -> list[Told]:
        hits = self.engine.feed(record)
        if next(iter(record), "") != "tracehound" or LINE in record["tracehound"]:
            self.evaluated += 1
            self.last_time = record.get("time", "")
        self.hits += len(hits)
        for hit in hits:
            self.by_rule[hit.rule.id] = self.by_rule.get(hit.rule.id, 0) + 1
        return [
            told
            for hit in hits
            for told in self.stories.add(brief(hit), time_of(record), partial(content_of, hit, hits))
        ]

    def state(self) -> dict[str, Any]:
        """For `restore`, as JSON."""
        return {"stories": self.stories.state(), "evaluated": self.evaluated, "hits": self.hits}

    def restore(self, state: dict[str, Any]) -> None:
        """What `state` said. Raises ValueError, TypeError or KeyError when it is not that."""
        self.stories.restore(state.get("stories", []))
        self.evaluated, self.hits = int(state.get("evaluated", 0)), int(state.get("hits", 0))


def brief(hit: Hit) -> Content:
    """What stories ask of a detection: of a flood, most are counted and never told."""
    rule = hit.rule
    return {
        "id": id_of(hit),
        "level": rule.level,
        "rule": {"id": rule.id, "title": rule.title},
        "tags": rule.tags,
        "process": hit.process.process,
        "ancestors": [known.process for known in hit.ancestors()],
    }
