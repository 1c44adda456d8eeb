# SPDX-License-Identifier: Apache-2.0
"""One exporter at work: reads the log from its place, sends, saves the place once all is answered for.

    Source → Documents (filter, fields, format) → Gatherer (batches, rate) → Delivery (retries) → CursorFile

At least once: after a crash between an answer and the saved place, the last batch comes again, with the same
uids.
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from agent import __version__
from agent.errors import LogUnavailable
from agent.log.entry import Cursor
from agent.log.reader import LogReader
from agent.log.times import parse_time
from exporters import lock, replaying
from exporters.base import Context, ExporterUnavailable, OptionError
from exporters.config import ExporterConfig
from exporters.control import Watched
from exporters.cursor import CursorFile, Place, is_beyond, place_at
from exporters.deadletter import DeadLetters
from exporters.delivery import Delivery
from exporters.documents import Make, Parsing, raw_maker
from exporters.formats import Format, make_format
from exporters.gathering import Batch, Gatherer, Outcome
from exporters.history import learn_back
from exporters.joining import JoinedSource, Joining
from exporters.lag import events_behind
from exporters.limits import Backoff, Bucket
from exporters.patience import Patience, Stopped
from exporters.probes import Probes
from exporters.registry import module_of
from exporters.source import Source, machine_id
from exporters.state import State, resume_state, write_state

POLL_S = 0.05
"""How often the end of the log is looked at, in seconds."""
TICK_S = 1.0
"""How often state is written and wishes are read, in seconds."""
SMALLEST_BYTES = 64 << 10
"""A destination that refuses batches as too large gets batches of at least so many bytes."""


class Runner:
    """One exporter. `run` returns the exit status; errors of the start are raised."""

    def __init__(
        self,
        config: ExporterConfig,
        log_dir: str | os.PathLike[str],
        state_dir: str | os.PathLike[str],
        patience: Patience,
    ) -> None:
        """`log_dir`: the log; `state_dir`: the directory with the state of all exporters."""
        self.config, self._patience = config, patience
        self._log_dir, self._dir = Path(log_dir), Path(state_dir) / config.name
        self._cursors = CursorFile(self._dir / "cursor")
        self._control = Watched(self._dir)
        self._tick_at = 0.0
        self._told = ""

    def prepare(self) -> None:
        """Takes the lock, opens the log and the destination's module. Raises AlreadyRunning, LogUnavailable,
        OptionError, ExporterUnavailable, OSError."""
        self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = lock.take(self._dir)
        common = self.config.common
        fresh = State(self.config.name, self.config.type, self.config.format, common.required)
        fresh.pid, fresh.started = os.getpid(), time.time()
        self.state = resume_state(self._dir, fresh)
        try:
            self._prepare()
        except (OptionError, ExporterUnavailable, LogUnavailable) as error:
            self.state.fail(str(error))
            self._write("failed")
            raise

    def _prepare(self) -> None:
        config, common = self.config, self.config.common
        module = module_of(config.type)
        self.letters = DeadLetters(self._dir, common.dead_letter_bytes)
        backoff = Backoff(common.retry.first_seconds, common.retry.most_seconds)
        if hasattr(module, "open_segments"):
            from exporters.segments import SegmentRun

            self._segments: Any = SegmentRun(self, module.open_segments, backoff)
            return
        self._segments = None
        self._form: Format | None = None if config.format == "json" else make_format(config.format)
        self._delivery = Delivery(
            lambda: module.open(self.context()),
            self._patience,
            self._wait,
            self.state,
            self.letters,
            backoff,
            common.send_seconds,
        )
        self._delivery.open()
        self._gatherer = self._gatherer_at(self._first_place())

    def context(self) -> Context:
        """What the destination is told."""
        options, host_id = dict(self.config.options), machine_id(self._log_dir)
        return Context(self.config.name, __version__, str(self._dir), options, host_id)

    @property
    def log_dir(self) -> Path:
        """The log."""
        return self._log_dir

    def run(self, *, until_idle: bool = False) -> int:
        """Works until it is stopped; with `until_idle`, until the end of the log has been answered for."""
        try:
            if self._segments is not None:
                self._segments.run(until_idle)
            else:
                self._work(until_idle)
        except Stopped:
            pass
        finally:
            self._end()
        return 0

    def _work(self, until_idle: bool) -> None:
        while not self._patience.stopping:
            self.tick()
            if self._is_paused():
                continue
            if replaying.is_due(self._control.look().replay, self._dir):
                self._replay()
            outcome = self._gather(self._gatherer)
            if outcome is Outcome.DRY:
                if until_idle and not self._gatherer.is_holding:
                    self._deliver(self._gatherer)
                    return
                self._patience.nap(POLL_S)

    def _gather(self, gatherer: Gatherer) -> Outcome:
        """One round; what is due is delivered."""
        outcome = gatherer.gather()
        if outcome is Outcome.FULL or gatherer.age_s >= self.config.batching.seconds:
            self._deliver(gatherer)
        elif not gatherer.waiting:
            self._save(gatherer)
        return outcome

    def _deliver(self, gatherer: Gatherer) -> None:
        batch = gatherer.take()
        if batch.documents:
            self._delivery.deliver(batch.documents)
            self._set("replaying" if gatherer is not self._gatherer else "running")
            self._fit(gatherer, batch)
        self._save(gatherer, batch.place)

    def _fit(self, gatherer: Gatherer, batch: Batch) -> None:
        """Batches become smaller for a destination that said so, and slowly larger again."""
        shrunk, self._delivery.shrunk_to = self._delivery.shrunk_to, 0
        if shrunk:
            gatherer.limit_bytes = max(SMALLEST_BYTES, min(gatherer.limit_bytes, shrunk))
        else:
            grown = gatherer.limit_bytes + gatherer.limit_bytes // 16
            gatherer.limit_bytes = min(self._most_bytes(), grown)

    def _save(self, gatherer: Gatherer, place: Place | None = None) -> None:
        """The place is saved; when that fails, records may come twice after a crash, which is told."""
        if gatherer is not self._gatherer:
            return
        place = place or gatherer.place
        self._answered = place
        try:
            self._cursors.save(place)
        except OSError as error:
            self.state.fail(f"the place in the log cannot be saved: {error}")

    # Places

    def _first_place(self) -> Place:
        place, problem = self._cursors.load()
        if place and is_beyond(self._log_dir, place.cursor):
            problem = f"{place.cursor} lies behind the end of the log, which is another one or an older state"
        if problem:
            self.state.fail(f"{problem}; beginning again with the oldest record")
            return Place(Cursor("", 0, 0), "")
        return place or self._start()

    def _start(self) -> Place:
        reader, start = LogReader(self._log_dir), self.config.common.start
        if start == "beginning":
            return Place(Cursor("", 0, 0), "")
        cursor = reader.end() if start == "now" else place_at(reader, parse_time(start))
        return Place(cursor, "")

    def _gatherer_at(self, place: Place, until: Cursor | None = None) -> Gatherer:
        config = self.config
        joining = Joining(config.common.hold_seconds)
        source = JoinedSource(Source(self._log_dir, place.cursor, self._report), joining)
        rate = config.common.rate
        bucket = Bucket(rate.events_per_second, rate.burst) if rate.events_per_second else None
        gatherer = Gatherer(
            source,
            self._maker(place, joining),
            config.batching,
            self.state,
            place=place,
            bucket=bucket,
            probes=Probes() if config.common.probes == "count" else None,
            form=self._form,
            until=until,
        )
        gatherer.limit_bytes = self._most_bytes()
        self._answered = place
        return gatherer

    def _most_bytes(self) -> int:
        return min(self.config.batching.bytes, self.config.common.memory_bytes // 4)

    def _maker(self, place: Place, joining: Joining) -> Make:
        config = self.config
        if self._form is None and not config.batching.needs_record and not config.filter.needs_record:
            return raw_maker(config.filter, joining)
        parsing = Parsing(config.filter, self._form, joining)
        if parsing.needs_history:
            learn_back(self._log_dir, place.cursor, parsing.learn)
        return parsing.make

    def _replay(self) -> None:
        """Sends a part of the log once more, or sets the place back; then goes on."""
        request = self._control.look().replay
        if request is None:
            return
        self._deliver(self._gatherer)
        begin, end = replaying.bounds(self._log_dir, request)
        if end is None:
            self._gatherer = self._gatherer_at(begin)
            self._save(self._gatherer)
        else:
            answered = self._answered
            self._set("replaying")
            self._send_between(begin, end)
            self._answered = answered
        replaying.done(request, self._dir)
        self._set("running")

    def _send_between(self, begin: Place, end: Cursor) -> None:
        gatherer = self._gatherer_at(begin, end)
        while (outcome := self._gather(gatherer)) is not Outcome.ENDED:
            if outcome is Outcome.DRY and not gatherer.is_holding:
                break
            if outcome is Outcome.DRY:
                self._patience.nap(POLL_S)
            self.tick()
        self._deliver(gatherer)

    # Telling

    def _report(self, problem: str) -> None:
        self.state.corrupt += problem.startswith("no record")
        self.state.fail(problem)

    def _set(self, state: str) -> None:
        self.state.state = state

    def _is_paused(self) -> bool:
        paused = self._control.look().paused
        if paused:
            self._set("paused")
            self._patience.nap(TICK_S / 4)
        elif self.state.state in ("paused", "starting"):
            self._set("running")
        return paused

    def _wait(self, seconds: float, state: str) -> None:
        """A pause of the delivery; wishes are heard meanwhile. Raises Stopped."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 or self._control.look().paused:
            self._set("paused" if self._control.look().paused else state)
            self.tick()
            self._patience.nap(min(TICK_S / 2, max(left, 0.01)))

    def wait(self, seconds: float, state: str) -> None:
        """The same for destinations that take whole segments."""
        self._wait(seconds, state)

    def within(self) -> AbstractContextManager[None]:
        """Around one step of those: Hangs when it takes longer than a batch may."""
        return self._patience.within(self.config.common.send_seconds)

    def tick(self) -> None:
        """Once a second: how far behind it is, written for others to read."""
        now = time.monotonic()
        if now >= self._tick_at:
            self._tick_at = now + TICK_S
            self._write(self.state.state)

    def save_place(self, place: Place) -> None:
        """Takes note of a place that a destination of whole segments has reached."""
        self._answered = place
        try:
            self._cursors.save(place)
        except OSError as error:
            self.state.fail(f"the place in the log cannot be saved: {error}")

    def _write(self, state: str) -> None:
        self.state.state = state
        if answered := getattr(self, "_answered", None):
            self._measure(answered)
        try:
            write_state(self._dir, self.state)
        except OSError as error:
            self._say(f"the state cannot be written: {error}")

    def _measure(self, place: Place) -> None:
        self.state.cursor, self.state.boot_id = str(place.cursor), place.boot_id
        self.state.lag_events = events_behind(self._log_dir, place.cursor)
        if self.state.lag_events == 0:
            self._caught_up = time.time()
        self.state.lag_seconds = round(
            max(0.0, time.time() - getattr(self, "_caught_up", self.state.started)), 1
        )
        if self.state.lag_events == 0:
            self.state.lag_seconds = 0.0

    def _say(self, problem: str) -> None:
        """On standard error, once per kind."""
        if problem != self._told:
            self._told = problem
            os.write(2, f"tracehound exporter {self.config.name}: {problem}\n".encode())

    def _end(self) -> None:
        if self._segments is not None:
            self._segments.close()
        else:
            self._delivery.close()
        self._write("stopped")
        os.close(self._lock)
