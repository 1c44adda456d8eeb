# SPDX-License-Identifier: Apache-2.0
"""The child process: follows files and the journal, hands their lines to the agent.

    files, journalctl → lines → Link → the agent → the log
          ↑ place, saved once the lines before it stand in the log

To the agent: `{"lines":[{…}]}` as docs/event-log.md has them, `{"lost":{"source","cause","count"}}`, and as
agent/detect/link.py says `{"mark"}` and `{"state"}`. From it: `{"configure":{…}}`, `{"mark"}`, `{"stop":1}`.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.children import hold_alone
from agent.collect.bucket import Bucket
from agent.collect.cutting import Line
from agent.collect.journal import Entry, Journal
from agent.collect.logfile import LogFile
from agent.collect.place import NOWHERE, Place, load, save
from agent.collect.syslog import head_of, is_own
from agent.detect.link import AgentGone, Link
from agent.detect.services import AUTH_FACILITIES, services_of, source_of

LOOK_S = 0.25
"""How often files are looked at, in seconds."""
SPEAK_S = 2.0
"""How often the state is told, in seconds."""
SAVE_S = 1.0
"""How often the place is saved, in seconds."""
AT_ONCE = 64
"""Lines of one message to the agent."""

Told = dict[str, Any]


class Worker:
    """One run."""

    def __init__(self, sock: socket.socket, state_dir: Path) -> None:
        self._link, self._dir = Link(sock), state_dir
        self._files: list[tuple[LogFile, tuple[str, ...]]] = []
        self._journal: Journal | None = None
        self._bucket = Bucket(1)
        self._line_bytes = 0
        self._invocation = os.environ.get("INVOCATION_ID", "")
        """Of the agent's own unit: systemd.exec(5)."""
        self._marks: deque[tuple[int, Place]] = deque()
        self._changed = False
        self._save_at = self._speak_at = 0.0
        self._lines: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        self._own = 0
        self._error = ""
        self._is_over = False

    def run(self) -> int:
        """Until the agent says stop or is gone; the exit status."""
        try:
            self._dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = hold_alone(self._dir)
            while not self._is_over:
                self._turn()
            self._end()
        except AgentGone:
            return 0
        except OSError as error:
            self._error = str(error)
            with suppress(AgentGone):
                self._speak(time.monotonic(), always=True)
            return 1
        finally:
            if self._journal is not None:
                self._journal.close()
        return 0

    def _turn(self) -> None:
        for said in self._link.lines():
            if "configure" in said:
                self._begin(said["configure"])
            self._is_over |= "stop" in said
        more = self._collect()
        now = time.monotonic()
        self._look_after_place(now)
        self._speak(now)
        self._link.flush()
        if not self._is_over:
            self._sleep(0.0 if more else LOOK_S)

    def _begin(self, wanted: Told) -> None:
        place = self._saved()
        self._bucket, self._line_bytes = Bucket(wanted["lines_per_second"]), wanted["line_bytes"]
        for source in map(source_of, wanted["files"]):
            path = source.path
            spot, is_first = place.files.get(path), path not in place.paths
            self._files.append((LogFile(path, self._line_bytes, spot, is_first), source.services))
        if wanted["journal"]:
            self._journal = Journal(wanted["units"], place.cursor, self._line_bytes)
        self._changed = True  # where it begins is known from now on

    def _saved(self) -> Place:
        try:
            return load(self._dir)
        except (ValueError, OSError) as error:
            self._error = f"the saved places cannot be read, lines may be missing: {error}"
            return NOWHERE

    def _sleep(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._link.sock, select.POLLIN | (select.POLLOUT if self._link.has_unsent else 0))
        if self._journal is not None and self._journal.fileno >= 0 and seconds and self._has_room():
            poll.register(self._journal.fileno, select.POLLIN)
        poll.poll(seconds * 1000)

    # Lines

    def _has_room(self) -> bool:
        return not self._link.is_full and self._bucket.has_room(time.monotonic())

    def _collect(self) -> bool:
        """A piece of each source; whether something came."""
        came = False
        for file, services in self._files:
            if self._has_room():
                found = [_of_line(file.path, services, line) for line in file.lines(time.monotonic())]
                self._hand_over(file.path, found, file.lost)
                came |= bool(found)
        if self._journal is not None and self._has_room():
            entries = self._journal.entries(time.monotonic(), time.time_ns())
            found = [
                self._of_entry(entry)
                for entry in entries
                if entry.invocation != self._invocation or not self._invocation
            ]
            self._hand_over("journal", found, self._journal.lost)
            came |= bool(found)
        return came and self._has_room()

    def _hand_over(self, source: str, found: list[Told], lost: list[tuple[str, int]]) -> None:
        self._bucket.take(len(found))
        kept = [one for one in found if not is_own(one.get("program", ""), one["line"])]
        self._own += len(found) - len(kept)
        self._lines[source] += len(kept)
        for at in range(0, len(kept), AT_ONCE):
            self._link.put({"lines": kept[at : at + AT_ONCE]})
        counts: Counter[str] = Counter()
        for cause, count in lost:
            counts[cause] += count
        lost.clear()
        self._lost.update(counts)
        for cause, count in counts.items():
            if count:
                self._link.put({"lost": {"source": source, "cause": cause, "count": count}})
        self._changed |= bool(found or counts)

    def _of_entry(self, entry: Entry) -> Told:
        program = "kernel" if entry.transport == "kernel" else entry.program
        services = [*services_of(program), "syslog"]
        if entry.facility in AUTH_FACILITIES:
            services.append("auth")
        who = f"{program}[{entry.pid}]" if entry.pid else program
        text = f"{who}: {entry.message}"
        line = text.encode("utf-8", "replace")[: self._line_bytes].decode("utf-8", "ignore")
        told: Told = {"source": "journal", "services": list(dict.fromkeys(services)), "line": line}
        told |= {"cut": True} if len(line) < len(text) else {}
        told |= {"program": program, "pid": entry.pid, "unit": entry.unit, "logged_ns": entry.time_ns}
        return {key: value for key, value in told.items() if value not in ("", 0)}

    # The place

    def _place(self) -> Place:
        files = {file.path: spot for file, _ in self._files if (spot := file.spot()) is not None}
        cursor = self._journal.cursor if self._journal is not None else ""
        return Place(files, frozenset(file.path for file, _ in self._files if file.is_begun), cursor)

    def _look_after_place(self, now: float) -> None:
        if self._changed and now >= self._save_at:
            self._save_at, self._changed = now + SAVE_S, False
            place = self._place()
            self._marks.append((self._link.mark(), place))
        done: Place | None = None
        while self._marks and self._marks[0][0] <= self._link.answered:
            done = self._marks.popleft()[1]
        if done is not None:
            try:
                save(self._dir, done)
            except OSError as error:
                self._error = f"the places cannot be saved: {error.strerror}"

    def _end(self) -> None:
        """What stands in the files is handed over; the place is saved when the agent has it."""
        while self._collect():
            self._link.flush()
        self._changed, self._save_at = True, 0.0
        self._look_after_place(time.monotonic())
        self._speak(time.monotonic(), always=True)
        while self._marks:
            self._link.flush()
            self._sleep(LOOK_S)
            for _ in self._link.lines():
                pass
            self._look_after_place(time.monotonic())

    # The state

    def _speak(self, now: float, *, always: bool = False) -> None:
        if now < self._speak_at and not always:
            return
        self._speak_at = now + SPEAK_S
        self._link.put({"state": self._state()})
        self._link.flush()

    def _state(self) -> Told:
        problems = [file.problem for file, _ in self._files if file.problem]
        if self._journal is not None and self._journal.problem:
            problems.append(self._journal.problem)
        sources = [file.path for file, _ in self._files] + (["journal"] if self._journal is not None else [])
        state: Told = {
            "sources": {source: self._lines[source] for source in sources},
            "lines": self._lines.total(),
            "lost": dict(self._lost),
            "own": self._own,
            "problems": problems,
        }
        return state | ({"last_error": self._error} if self._error else {})


def _of_line(path: str, services: tuple[str, ...], line: Line) -> Told:
    head = head_of(line.text)
    found = dict.fromkeys((*services, *services_of(head.program)))
    told: Told = {"source": path, "services": list(found), "line": line.text}
    told |= {"cut": True} if line.is_cut else {}
    told |= {"program": head.program, "pid": head.pid, "logged_ns": head.time_ns}
    return {key: value for key, value in told.items() if value not in ("", 0)}
