# SPDX-License-Identifier: Apache-2.0
"""The child process: follows the log, evaluates rules, hands what they find to the agent.

    chunks of lines → Evaluation → Link → the agent → the log
            ↑ place, saved once everything before it is told and on disk

Killed at any moment it loses nothing and doubles nothing: it goes on at the saved place with the stories
of that place, and what stands in the log after it is not told again.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from agent.children import hold_alone
from agent.detect.building import Building, Built, Wanted, build
from agent.detect.evaluation import Evaluation
from agent.detect.history import earliest, learn_back, told_since
from agent.detect.link import AgentGone, Link
from agent.detect.place import Place, PlaceFile
from agent.detect.stories import Told
from agent.errors import LogUnavailable
from agent.log.entry import Corrupt, Cursor
from agent.log.reader import LogReader
from agent.log.tail import Chunk, Tail
from agent.log.times import format_time, parse_time
from agent.log.window import Window

NOTE_S = 1.0
"""How often the place is noted, in seconds."""
SPEAK_S, KEEP_ALIVE_S = 0.5, 10.0
"""How often the state is told at most, and at least, in seconds."""
SYNCS = 2
"""Windows of the log's sync that a place has to be old, so that what stands before it is on disk."""
TURN_S = 0.002
"""How long compiling rules may hold the interpreter against evaluating, in seconds."""
STUCK_S = 60.0
"""A build that takes longer, in seconds, does not hold up the next one."""
SPARE_NS = 2_000_000_000
"""Stories look back so far behind the clock, in nanoseconds: the log is that fresh when nothing waits in
it."""
_SLICE = 64
"""Lines after which what was found goes out."""


class Worker:
    """One run."""

    def __init__(
        self,
        sock: socket.socket,
        news: int,
        log_dir: Path,
        state_dir: Path,
        builder: Callable[[Wanted], Built] = build,
    ) -> None:
        """`news`: the eventfd."""
        self._link, self._news = Link(sock), news
        self._log_dir, self._dir, self._build = log_dir, state_dir, builder
        self._places = PlaceFile(state_dir, 0.0)
        self._marks: deque[tuple[int, bytes]] = deque()
        self._building: Building | None = None
        self._next: Wanted | None = None
        """What to build after that."""
        self._built: Built | None = None
        self._evaluation: Evaluation | None = None
        self._tail: Tail | None = None
        self._until: int | None = None
        """Sequence number after which to end; None: go on."""
        self._scanned = Cursor("", 0, 0)
        self._noted = Cursor("", 0, 0)
        self._note_at = self._speak_at = self._keep_at = 0.0
        self._spoken = b""
        self._version = ""
        """Of the rules that the last `rules` record named."""
        self._missed = 0
        self._is_dry = False
        self._error = ""

    def run(self) -> int:
        """Until the agent says stop or is gone; the exit status."""
        sys.setswitchinterval(TURN_S)
        try:
            self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = hold_alone(self._dir)
            while not self._is_over():
                self._turn()
            self._end()
        except AgentGone:
            return 0
        except (OSError, LogUnavailable) as error:
            self._error = str(error)
            with suppress(AgentGone):
                self._speak(time.monotonic(), always=True)
            return 1
        return 0

    def _turn(self) -> None:
        self._hear()
        self._take_built()
        if self._tail is not None:
            self._evaluate(self._tail)
        now = time.monotonic()
        self._look_after_place(now)
        self._speak(now)
        self._link.flush()
        self._sleep()

    # The agent

    def _hear(self) -> None:
        for said in self._link.lines():
            if "configure" in said:
                self._begin_building(Wanted.of(said["configure"]))
            elif "stop" in said:
                self._until = int(said["stop"])

    def _begin_building(self, wanted: Wanted) -> None:
        self._places.settle_s = SYNCS * max(0.0, wanted.sync_seconds)
        if self._building is None or self._building.age_s > STUCK_S:
            self._building = Building(wanted, self._build)
        else:  # one at a time, however often somebody says `reload`; of those that wait the last one counts
            self._next = wanted

    def _sleep(self) -> None:
        """Until there is something to do; not at all while lines wait."""
        poll = select.poll()
        poll.register(self._link.sock, select.POLLIN | (select.POLLOUT if self._link.has_unsent else 0))
        poll.register(self._news, select.POLLIN)
        for fd, _ in poll.poll(self._patience_s() * 1000):
            if fd == self._news:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._news)

    def _patience_s(self) -> float:
        if self._tail is not None and not self._is_dry and not self._link.is_full:
            return 0
        if self._building is not None:
            return 0.02
        busy = self._marks or self._places.is_waiting or self._noted != self._cursor()
        return NOTE_S / 2 if busy else KEEP_ALIVE_S / 2

    def _cursor(self) -> Cursor:
        return self._tail.cursor if self._tail is not None else self._noted

    # Rules

    def _take_built(self) -> None:
        """Goes over to rules that are ready, between two events."""
        if self._building is None or not self._building.is_done:
            return
        building, self._building = self._building, None
        if self._next is not None:
            self._building, self._next = Building(self._next, self._build), None
        built, self._error = building.result()
        if built is None:
            return
        if self._evaluation is None:
            self._begin(built)
        else:
            built.engine.adopt(self._evaluation.engine)
            self._evaluation.engine = built.engine
        self._built = built
        if built.version != self._version:
            self._version = built.version
            content = built.content(building.wanted, self._cursor().sequence + 1)
            self._put([Told("rules", content, None)])
        self._write_rules(built)

    def _begin(self, built: Built) -> None:
        """At the saved place, with what has to be known of the time before it."""
        place = self._saved() or Place(LogReader(self._log_dir).end(), {})
        evaluation = Evaluation(built.engine)
        try:
            evaluation.restore(place.state)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self._error = f"the saved stories cannot be read and begin anew: {error}"
        self._version = str(place.state.get("rules", ""))
        self._scanned, keys, version = told_since(self._log_dir, place.cursor)
        self._version = version or self._version
        evaluation.told = keys
        learn_back(self._log_dir, place.cursor, built.engine.learn, built.engine.feed)
        self._noted = place.cursor
        self._tail = Tail(
            self._log_dir, Window(), place.cursor if place.cursor.segment else None, self._damaged
        )
        self._evaluation = evaluation

    def _saved(self) -> Place | None:
        try:
            return self._places.load()
        except (ValueError, OSError) as error:
            self._error = f"the saved place cannot be read: {error}; events of before are evaluated again"
            return Place(earliest(self._log_dir), {})

    def _write_rules(self, built: Built) -> None:
        """`STATE_DIR/rules.json`: what became of each rule, for `tracehound rules list`."""
        counts = self._evaluation.by_rule if self._evaluation is not None else {}
        rules = [
            {
                "id": rule.id,
                "title": rule.title,
                "level": rule.level,
                "path": str(rule.path),
                "line": rule.line,
                "not_evaluable": built.useless.get(rule.id, ""),
                "hits": counts.get(rule.id, 0),
            }
            for rule in built.rules
        ]
        told = {"version": built.version, "rules": rules, "problems": [str(one) for one in built.problems]}
        new = self._dir / "rules.json.new"
        with suppress(OSError):
            new.write_bytes(orjson.dumps(told))
            new.rename(self._dir / "rules.json")

    # Events

    def _evaluate(self, tail: Tail) -> None:
        """One chunk; or, when there is none, what stories have to say."""
        assert self._evaluation is not None
        if self._link.is_full:
            return
        self._is_dry = True
        for chunk in tail.chunks():
            self._is_dry = False
            if isinstance(chunk, Chunk):
                for at in range(0, len(chunk.lines), _SLICE):
                    self._put(self._evaluation.take(chunk.lines[at : at + _SLICE]))
                    self._link.flush()
            else:
                self._miss(chunk.record["tracehound"]["notice"])
            break
        if self._evaluation.told and tail.cursor[:2] >= self._scanned[:2]:
            self._evaluation.told = set()
        if self._is_dry:
            self._put(self._evaluation.fresh(self._evaluation.stories.look(time.time_ns() - SPARE_NS)))

    def _put(self, records: Iterable[Told]) -> None:
        for kind, content, time_ns in records:
            self._link.put({"kind": kind, "content": content, "time": time_ns})

    def _miss(self, notice: dict[str, Any]) -> None:
        """Records were removed before they were evaluated: that is told where the gap is."""
        assert self._evaluation is not None
        count = int(notice.get("to_sequence", 0)) - int(notice.get("from_sequence", 1)) + 1
        self._missed += max(1, count)
        now = format_time(time.time_ns())
        content = {
            "cause": "unevaluated",
            "lane": "agent",
            "count": max(1, count),
            "from": self._evaluation.last_time or now,
            "to": now,
        }
        self._put([Told("loss", content, None)])

    def _damaged(self, _corrupt: Corrupt) -> None:
        """`tracehound log verify` names it."""

    # The place

    def _look_after_place(self, now: float) -> None:
        while self._marks and self._marks[0][0] <= self._link.answered:
            self._places.note(self._marks.popleft()[1], now)
        if now >= self._note_at and self._noted != self._cursor():
            self._note_at = now + NOTE_S
            self._note()
        try:
            self._places.save(now)
        except OSError as error:
            self._error = f"the place cannot be saved: {error}"

    def _note(self) -> None:
        assert self._evaluation is not None
        self._noted = self._cursor()
        place = Place(self._noted, {**self._evaluation.state(), "rules": self._version})
        self._marks.append((self._link.mark(), place.encode()))

    # The state

    def _speak(self, now: float, *, always: bool = False) -> None:
        if now < self._speak_at and not always:
            return
        self._speak_at = now + SPEAK_S
        state = self._state()
        told = orjson.dumps(state)
        if told != self._spoken or now >= self._keep_at:
            self._spoken, self._keep_at = told, now + KEEP_ALIVE_S
            self._link.put({"state": state})
            self._link.flush()

    def _state(self) -> dict[str, Any]:
        evaluation, built = self._evaluation, self._built
        state: dict[str, Any] = {"phase": "evaluating" if self._tail is not None else "loading"}
        if built is not None:
            state |= {"rules": len(built.rules), "refused": len(built.problems), "version": built.version}
            state |= {"not_evaluable": len(built.useless), "problems": built.sentences()}
        if evaluation is not None:
            state |= {
                "evaluated": evaluation.evaluated,
                "hits": evaluation.hits,
                "failed": evaluation.failed,
                "stories": len(evaluation.stories),
                "missed": self._missed,
                "read": evaluation.evaluated + evaluation.failed,
                "sequence": self._cursor().sequence,
                "lag_seconds": self._lag_s(evaluation),
            }
        error = self._error or (evaluation.error if evaluation is not None else "")
        return state | ({"last_error": error} if error else {})

    def _lag_s(self, evaluation: Evaluation) -> float:
        """Age of the newest event that was evaluated, while others wait."""
        if self._is_dry or not evaluation.last_time:
            return 0.0
        with suppress(ValueError):
            return round(max(0, time.time_ns() - parse_time(evaluation.last_time)) / 1e9, 2)
        return 0.0

    # The end

    def _is_over(self) -> bool:
        if self._until is None:
            return False
        if self._tail is None:
            return self._building is None
        return self._is_dry or self._cursor().sequence >= self._until

    def _end(self) -> None:
        """What was found is told; the place is saved at once, because the agent ends in order."""
        if self._tail is None or self._evaluation is None:
            return
        self._put(self._evaluation.fresh(self._evaluation.stories.settle(time.time_ns())))
        self._note()
        while self._marks:
            self._link.flush()
            self._sleep()
            self._hear()
            self._look_after_place(time.monotonic())
        self._places.settle_s = 0.0
        with suppress(OSError):
            self._places.save(time.monotonic())
        if self._built is not None:
            self._write_rules(self._built)
        self._speak(time.monotonic(), always=True)
