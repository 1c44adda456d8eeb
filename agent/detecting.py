# SPDX-License-Identifier: Apache-2.0
"""The daemon's detections: one child process evaluates rules over the log, the agent writes down what it
finds.

The agent never loads a rule and never waits: the child reads the log like anybody else, is told by an
eventfd that there is more, and hands over records as lines (agent/detect/link.py). A record is answered
for (`mark`) once it stands in the file, so a child that begins again knows from the log what was told.
While the disk refuses lines, nothing is taken from the child.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import orjson

from agent.children import LineChild
from agent.errors import TracehoundError
from agent.log.followers import CURSOR_NAME, read_followers
from agent.log.reader import LogReader
from agent.log.retention import Follower
from agent.log.times import format_time
from agent.settings import CollectSettings, DetectSettings

KINDS = frozenset(("detection", "story", "rules", "loss"))
"""Records that the child may hand over."""
TOLD = ("rules", "evaluated", "hits", "detections", "lag_seconds")
"""Figures of heartbeats."""
SUFFIXES = (".yml", ".yaml")
_LOG_NAME = "log"
"""In the state directory: which log directory the place beside it is of."""
FIRST_PAUSE_S = 0.1
"""Pause before a child that died is started again, in seconds; it doubles up to the longest."""
LONGEST_PAUSE_S = 30.0
STEADY_S = 30.0
"""A child that lived so long before it died does not count as failing again and again, in seconds."""
SILENT_S = 60.0
"""A child that says nothing for so long hangs, in seconds; it speaks every few seconds otherwise."""
GRACE_S = 2.0
"""What the child may take at the end to evaluate what stands in the log, in seconds; the next start goes
on."""
LAG_S = 10.0
"""How far behind it may be before that is a matter of health, in seconds."""
READ_BYTES = 1 << 16
"""Most bytes taken per call, so that a flood of detections cannot hold up the agent's loop."""
LONGEST_LINE = 8 << 20
_LINK_FD, _NEWS_FD = 3, 4  # agent/detect/__main__.py knows both


class Log(Protocol):
    """What is needed of the log's one writer (agent.log.writer.LogWriter)."""

    @property
    def last_sequence(self) -> int:
        """Number of the last line in a file."""

    @property
    def is_writing(self) -> bool:
        """Whether lines reach the file at once."""

    @property
    def dropped(self) -> int:
        """Lines that were lost because the disk refused them for too long."""

    def record(self, kind: str, content: Mapping[str, object], time_ns: int | None = None) -> None:
        """Writes an own record."""


class Detecting:
    """The child and what it hands over. Nothing here raises or waits: what goes wrong is a notice and
    shows in the state. For an epoll loop: register `filenos()` for reading and call `handle` when one is
    ready."""

    def __init__(
        self,
        settings: DetectSettings,
        log_dir: str,
        notice: Callable[[str], None],
        sync_s: float = 1.0,
        collect: CollectSettings | None = None,
    ) -> None:
        """`sync_s`: after so many seconds what was written is on disk. `collect`: which lines of other logs
        are in the log; None: none."""
        self._settings, self._log_dir, self._notice = settings, str(Path(log_dir).absolute()), notice
        self._sync_s = sync_s
        names = ("files", "journal", "units")
        self._logs = {name: getattr(collect, name) for name in names} if collect is not None else {}
        self._log: Log | None = None
        self._poll: select.epoll | None = None
        self._news = -1
        self._child: _Child | None = None
        self._wanted: bool | None = None
        self._failures, self._due_s = 0, 0.0
        self._dropped = 0
        self._said: dict[str, Any] = {}
        self.appended = 0
        """Detections that were written since the start."""

    def open(self, log: Log) -> None:
        """From now on there is a log. Rules that never ran here begin with what comes now."""
        self._log = log
        if has_rules(self._settings):
            self._note_begin()
        self._poll = select.epoll()
        self._news = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def filenos(self) -> list[int]:
        """One descriptor that stays the same for life."""
        return [self._poll.fileno()] if self._poll is not None else []

    def news(self) -> None:
        """The log has grown: the child is woken, unless it is awake."""
        if self._child is not None:
            with suppress(BlockingIOError):
                os.eventfd_write(self._news, 1)

    def handle(self, _fd: int = -1) -> None:
        """Takes what the child handed over."""
        child = self._child
        if child is None or self._poll is None:
            return
        for fd, _ in self._poll.poll(0):
            if fd == child.pidfd:
                self._ended(time.monotonic())
                return
            self._listen(child)

    def tick(self, now: float) -> None:
        """Looks after the child; `now` is monotonic seconds. The first call starts it, if there are rules."""
        if self._log is None:
            return
        if self._wanted is None:
            self._wanted = has_rules(self._settings)
        child = self._child
        if child is not None:
            self._listen(child)
            if child.reap() is not None:
                self._ended(now)
            elif now - child.heard_s > SILENT_S:
                self._notice(f"detections: nothing was heard for {SILENT_S:.0f} s, the process is ended")
                child.heard_s = now
                child.kill()
        elif self._wanted and now >= self._due_s and self._log.is_writing:
            self._start(now)

    def reload(self, settings: DetectSettings) -> list[str]:
        """Rules are read again; returns what was done. The child goes over between two events."""
        self._settings, before, self._wanted = settings, self._wanted, has_rules(settings)
        self._failures, self._due_s = 0, 0.0
        if self._child is not None:
            self._child.say(self._configuration())
            what = "the rules are read again" if self._wanted else "no rules any more"
            return [f"detections: {what}"]
        return ["detections: started"] if self._wanted and not before else []

    def state(self) -> dict[str, Any]:
        """How the child is, in its words, and whether it runs."""
        child = self._child
        silent_s = time.monotonic() - child.heard_s if child is not None else 0.0
        own = {
            "wanted": bool(self._wanted),
            "running": child is not None,
            "pid": child.pid if child is not None else 0,
            "detections": self.appended,
        }
        lag_s = float(self._said.get("lag_seconds", 0.0)) + (silent_s if silent_s > 2 * LAG_S else 0.0)
        return {**self._said, **own, "lag_seconds": round(lag_s, 3)}

    def summary(self) -> dict[str, Any]:
        """The few figures that heartbeats tell; empty without rules."""
        if not self._wanted:
            return {}
        told = self.state()
        return {name: told.get(name, 0) for name in TOLD}

    def problems(self) -> Iterator[str]:
        """A sentence for each thing that does not work; for health."""
        if not self._wanted:
            return
        told = self.state()
        if not told["running"]:
            yield f"detections: the process does not run{_because(told.get('last_error'))}"
        elif told.get("last_error"):
            yield f"detections: {told['last_error']}"
        if told["lag_seconds"] > LAG_S:
            yield f"detections: rules are {told['lag_seconds']:.0f} s behind the log"
        if refused := told.get("refused", 0):
            first = next(iter(told.get("problems", ())), "")
            why = f"{_because(first)}; `tracehound rules check` shows all"
            yield f"detections: {refused} rules cannot be used{why}"
        if missed := told.get("missed", 0):
            yield f"detections: {missed} records were removed before rules had seen them"

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """What the control socket asks (`rules`): the state, and of each rule what became of it."""
        if question.get("request") != "rules":
            return {"error": f"unknown request {question.get('request')!r}"}
        try:
            told = orjson.loads((Path(self._settings.state_dir) / "rules.json").read_bytes())
        except (OSError, ValueError):
            told = {}
        return {**(told if isinstance(told, dict) and self._wanted else {}), "state": self.state()}

    def follower(self) -> list[Follower]:
        """How far rules have been evaluated, for retention: one follower, or none without rules."""
        if not self._wanted:
            return []
        directory = Path(self._settings.state_dir)
        [found] = read_followers(directory.parent, {directory.name: True})
        return [found._replace(name="detections")]

    def close(self, grace_s: float = GRACE_S) -> None:
        """Lets the child finish what stands in the log, within the time given, and ends it."""
        if self._child is not None and self._log is not None and self._log.is_writing:
            self._child.say({"stop": self._log.last_sequence})
            self._finish(self._child, time.monotonic() + grace_s)
        if self._child is not None:
            self._child.kill()
            self._child.reap(wait=True)
            self._forget()
        if self._poll is not None:
            self._poll.close()
            os.close(self._news)
            self._poll = None

    def _finish(self, child: _Child, deadline_s: float) -> None:
        self.news()
        while self._child is child and (left := deadline_s - time.monotonic()) > 0:
            if select.select([child.sock], [], [], min(left, 0.2))[0]:
                self._listen(child)
            if child.reap() is not None:
                self._listen(child)
                self._forget()

    # The child

    def _start(self, now: float) -> None:
        assert self._log is not None and self._poll is not None
        self._dropped = self._log.dropped
        self._note_begin()
        try:
            self._child = child = _Child(self._news, self._log_dir, self._settings.state_dir)
        except OSError as error:
            self._failures += 1
            self._due_s = now + _pause(self._failures)
            self._notice(f"detections cannot be started: {error.strerror}")
            return
        self._poll.register(child.sock, select.EPOLLIN)
        self._poll.register(child.pidfd, select.EPOLLIN)
        child.say(self._configuration())

    def _note_begin(self) -> None:
        """Where rules begin that never ran here: noted before there is anything to lose."""
        directory = Path(self._settings.state_dir)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not (directory / CURSOR_NAME).exists() or self._is_of_another_log(directory):
                _replace(directory / CURSOR_NAME, f"{LogReader(self._log_dir).end()}\n{{}}\n")
            _replace(directory / _LOG_NAME, self._log_dir)
        except (OSError, ValueError, TracehoundError) as error:
            self._notice(f"detections: their place in the log cannot be noted: {error}")

    def _is_of_another_log(self, directory: Path) -> bool:
        """Whether an agent with another log directory left the place: of this log it says nothing. A log that
        was moved keeps its place."""
        named = directory / _LOG_NAME
        if not named.exists() or named.read_text("utf-8", "surrogateescape") == self._log_dir:
            return False
        place = read_followers(directory.parent, {directory.name: True})[0].place
        return place is not None and not (Path(self._log_dir) / place.segment).is_file()

    def _configuration(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "configure": {
                "paths": [*settings.rules, *(one for one in settings.dirs if Path(one).exists())],
                "library": settings.library,
                "exceptions": [one for one in settings.exceptions if Path(one).exists()],
                "sync_seconds": self._sync_s,
                "logs": self._logs,
            }
        }

    def _ended(self, now: float) -> None:
        child = self._child
        assert child is not None
        self._listen(child)
        status = child.reap()
        if status is None or self._child is None:
            return
        self._forget()
        if not self._wanted:
            return
        self._failures = 1 if now - child.started_s > STEADY_S else self._failures + 1
        self._due_s = now + _pause(self._failures)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        self._notice(f"detections: the process {how}{_because(self._said.get('last_error'))}")

    def _forget(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()  # a closed descriptor leaves the epoll set by itself

    def _listen(self, child: _Child) -> None:
        """What it said so far, as far as the log takes it. What is left in the socket of one that died is
        in no file, and the next one hands it over again."""
        assert self._log is not None and self._poll is not None
        if not self._log.is_writing:
            if child.is_heard:
                self._poll.unregister(child.sock)
                child.is_heard = False
            return
        if not child.is_heard:
            self._poll.register(child.sock, select.EPOLLIN)
            child.is_heard = True
        if self._log.dropped != self._dropped:  # perhaps what was taken and not answered for
            self._dropped = self._log.dropped
            child.kill()
            return
        for line in child.lines():
            self._take(child, line)
            if not self._log.is_writing:
                return
        child.flush()

    def _take(self, child: _Child, line: bytes) -> None:
        assert self._log is not None
        try:
            said = orjson.loads(line)
            if "state" in said:
                self._said, child.heard_s = said["state"], time.monotonic()
            elif "mark" in said:
                child.say({"mark": said["mark"]})
            elif said["kind"] in KINDS:
                self._append(said["kind"], dict(said["content"]), said.get("time"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._notice(f"detections: the process said what is no record ({error}), it is ended")
            child.kill()

    def _append(self, kind: str, content: dict[str, Any], time_ns: int | None) -> None:
        assert self._log is not None
        if kind == "detection":
            content["detected"] = format_time(time.time_ns())
            self.appended += 1
        self._log.record(kind, content, time_ns)


def _replace(path: Path, content: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(content, "utf-8", "surrogateescape")
    new.rename(path)


class _Child(LineChild):
    """One process of `python -m agent.detect`."""

    def __init__(self, news: int, log_dir: str, state_dir: str) -> None:
        """Raises OSError."""
        arguments = ["-m", "agent.detect", "--log-dir", log_dir, "--state-dir", state_dir]
        super().__init__(
            arguments, _LINK_FD, {_NEWS_FD: news}, read_bytes=READ_BYTES, longest_line=LONGEST_LINE
        )
        self.is_heard = True


def has_rules(settings: DetectSettings) -> bool:
    """Whether there is anything to evaluate: without, no process is started."""
    if settings.library or settings.rules:
        return True
    return any(
        name.endswith(SUFFIXES) for top in settings.dirs for _, _, names in os.walk(top) for name in names
    )


def _pause(failures: int) -> float:
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20))


def _because(text: object) -> str:
    return f": {text}" if text else ""
