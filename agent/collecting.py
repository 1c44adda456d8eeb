# SPDX-License-Identifier: Apache-2.0
"""The daemon's collected lines: one child process follows logs of other programs, the agent writes them down.

The agent opens no log and never waits: a hanging file system holds the child up and nobody else. What is
written is redacted, and names the process that wrote it, where that is known. A line is answered for (`mark`)
once it stands in the file; while the disk refuses lines, nothing is taken from the child.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

import orjson

from agent.children import LineChild
from agent.enrich.process import Process
from agent.enrich.recent import Recent, written_by
from agent.log.records import Line, own_line
from agent.log.times import format_time
from agent.settings import CollectSettings

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Pause before a child that died is started again, in seconds; it doubles up to the longest."""
STEADY_S = 30.0
"""A child that lived so long before it died does not count as failing again and again, in seconds."""
SILENT_S = 60.0
"""A child that says nothing for so long hangs, in seconds: a file system may not answer."""
RECENT_S = 60.0
"""So long missing lines are a matter of health, in seconds."""
GRACE_S = 1.0
"""What the child may take at the end to hand over what stands in the logs, in seconds."""
READ_BYTES = 1 << 16
LONGEST_LINE = 32 << 20
"""Of the link: AT_ONCE lines of the longest that may be set, control characters escaped."""
CAUSES = frozenset(("line_rate", "line_gap", "line_long", "line_damaged"))
"""Of losses that the child tells; docs/collect.md."""
_LINK_FD = 3  # agent/collect/__main__.py knows it
_TEXTS = ("source", "program", "unit", "line")

Content = dict[str, Any]


class Log(Protocol):
    """What is needed of the log's one writer (agent.log.writer.LogWriter)."""

    @property
    def is_writing(self) -> bool:
        """Whether lines reach the file at once."""

    def append(self, lines: Sequence[Line]) -> int:
        """Writes a batch."""

    def record(self, kind: str, content: Mapping[str, object], time_ns: int | None = None) -> None:
        """Writes an own record."""


class Around(NamedTuple):
    """What it needs of the daemon."""

    log: Log
    node_name: str
    living: Recent
    redact: Callable[[str], str]
    """A text without secrets."""
    drain: Callable[[], object]
    """Events of before stand in the log then."""
    ancestry: Callable[[Process], str]
    """exec_ids of a process's ancestors, as JSON strings joined by commas."""


class Collecting:
    """The child and what it hands over. Nothing here raises or waits. For an epoll loop: register `filenos()`
    for reading, call `handle` when one is ready and `tick` about once a second."""

    def __init__(self, settings: CollectSettings, around: Around, notice: Callable[[str], None]) -> None:
        self._settings, self._around, self._notice = settings, around, notice
        self._poll = select.epoll()
        self._child: LineChild | None = None
        self._failures, self._due_s = 0, 0.0
        self._is_heard = True
        self._said: Content = {}
        self.appended = 0
        """Lines that were written since the start."""
        self.lost = 0
        """Lines that are known to be missing."""
        self._lately = (0, -RECENT_S)
        """How many of them lately, and when the last ones were told, in monotonic seconds."""

    def filenos(self) -> list[int]:
        """One descriptor that stays the same for life."""
        return [self._poll.fileno()]

    def handle(self, _fd: int = -1) -> None:
        """Takes what the child handed over."""
        if self._child is not None and self._poll.poll(0):
            self._attend(self._child, time.monotonic())

    def tick(self, now: float) -> None:
        """Looks after the child; `now` is monotonic seconds. The first call starts it."""
        child = self._child
        if child is not None:
            self._attend(child, now)
            if self._child is child and now - child.heard_s > SILENT_S and self._is_heard:
                self._notice(f"logs: nothing was heard for {SILENT_S:.0f} s, the process is ended")
                child.heard_s = now
                child.kill()
        elif now >= self._due_s and self._around.log.is_writing:
            self._start(now)

    def state(self) -> Content:
        """How the child is, in its words, and whether it runs."""
        own = {"running": self._child is not None, "pid": self._child.pid if self._child else 0}
        return {**self._said, **own, "appended": self.appended, "missing": self.lost}

    def problems(self) -> Iterator[str]:
        """A sentence for each thing that does not work; for health."""
        if self._child is None:
            yield f"logs: the process that follows them does not run{_because(self._said.get('last_error'))}"
        elif error := self._said.get("last_error"):
            yield f"logs: {error}"
        for problem in self._said.get("problems", ()):
            yield f"logs: {problem}"
        count, told_s = self._lately
        if time.monotonic() - told_s < RECENT_S:
            yield f"logs: {count:,} lines are missing, `tracehound events --type loss` says of what"

    def close(self, grace_s: float = GRACE_S) -> None:
        """Lets the child hand over what stands in the logs, within the time given, and ends it."""
        child, deadline_s = self._child, time.monotonic() + grace_s
        if child is not None and self._around.log.is_writing:
            child.say({"stop": 1})
            while self._child is child and (left := deadline_s - time.monotonic()) > 0:
                if select.select([child.sock], [], [], min(left, 0.1))[0]:
                    self._listen(child)
                if child.reap() is not None:
                    break
        if child is not None:
            child.kill()
            child.reap(wait=True)
            child.close()
            self._child = None
        if not self._poll.closed:
            self._poll.close()

    # The child

    def _start(self, now: float) -> None:
        arguments = ["-m", "agent.collect", "--state-dir", self._settings.state_dir]
        try:
            child = LineChild(arguments, _LINK_FD, {}, read_bytes=READ_BYTES, longest_line=LONGEST_LINE)
        except OSError as error:
            self._failed(now, f"cannot be started: {error.strerror}")
            return
        self._child, self._is_heard = child, True
        self._poll.register(child.sock, select.EPOLLIN)
        self._poll.register(child.pidfd, select.EPOLLIN)
        settings = self._settings
        names = ("files", "journal", "units", "lines_per_second", "line_bytes")
        child.say({"configure": {name: getattr(settings, name) for name in names}})

    def _attend(self, child: LineChild, now: float) -> None:
        self._listen(child)
        status = child.reap()
        if status is None:
            return
        self._child = None
        child.close()  # a closed descriptor leaves the epoll set by itself
        self._failures = 0 if now - child.started_s > STEADY_S else self._failures
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        self._failed(now, f"{how}{_because(self._said.get('last_error'))}")

    def _failed(self, now: float, how: str) -> None:
        self._due_s = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 20))
        self._failures += 1
        self._notice(f"logs: the process that follows them {how}")

    def _listen(self, child: LineChild) -> None:
        """What it said so far, as far as the log takes it."""
        is_writing = self._around.log.is_writing
        if is_writing != self._is_heard:
            with suppress(OSError):
                self._poll.modify(child.sock, select.EPOLLIN if is_writing else 0)
            self._is_heard = is_writing
        if not is_writing:
            return
        for line in child.lines():
            self._take(child, line)
        child.flush()

    def _take(self, child: LineChild, line: bytes) -> None:
        try:
            said = orjson.loads(line)
            child.heard_s = time.monotonic()
            if "lines" in said:
                self._append([_checked(one) for one in said["lines"]])
            elif "mark" in said:
                child.say({"mark": said["mark"]})
            elif "lost" in said:
                self._lose(said["lost"])
            elif "state" in said:
                self._said = said["state"]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._notice(f"logs: the process said what is no line ({error}), it is ended")
            child.kill()

    def _append(self, found: list[Content]) -> None:
        around, now_ns = self._around, time.time_ns()
        around.drain()
        images = around.living.by_pid({one["pid"] for one in found if "pid" in one})
        for one in found:
            one["line"] = around.redact(one["line"])
            one.update(self._writer_of(one, images))
        around.log.append([own_line("log_line", one, around.node_name, now_ns) for one in found])
        self.appended += len(found)

    def _writer_of(self, one: Content, images: Mapping[int, Iterable[Process]]) -> Content:
        """exec_id and ancestry, by which readers find the process."""
        is_sure = one["source"] == "journal"
        image = written_by(images.get(one.get("pid", 0), ()), one.get("program", ""), is_sure)
        if image is None:
            return {}
        ancestry = orjson.loads(f"[{self._around.ancestry(image)}]")
        return {"exec_id": image.exec_id, "parent_exec_id": image.parent_exec_id, "ancestry": ancestry}

    def _lose(self, said: Content) -> None:
        if said["cause"] not in CAUSES:
            raise ValueError(f"cause {said['cause']!r}")
        now, count = format_time(time.time_ns()), int(said["count"])
        self.lost += count
        before, told_s = self._lately
        now_s = time.monotonic()
        self._lately = (count + (before if now_s - told_s < RECENT_S else 0), now_s)
        content = {"cause": said["cause"], "lane": "agent", "hook": str(said["source"]), "count": count}
        self._around.log.record("loss", {**content, "from": now, "to": now})


def _checked(said: Content) -> Content:
    """A line as the child tells it, with the types that records have. Raises ValueError, TypeError."""
    found: Content = {name: str(said[name]) for name in _TEXTS if name in said}
    found["services"] = [str(one) for one in said["services"]]
    if "pid" in said:
        found["pid"] = int(said["pid"])
    if "logged_ns" in said:
        found["logged"] = format_time(int(said["logged_ns"]))
    if said.get("cut"):
        found["cut"] = True
    return {key: found[key] for key in _ORDER if key in found}


_ORDER = ("source", "services", "program", "pid", "unit", "logged", "line", "cut")


def _because(text: object) -> str:
    return f": {text}" if text else ""
