# SPDX-License-Identifier: Apache-2.0
"""The daemon's exporters: one child process for each configured file, started again when it dies.

The agent never loads an exporter's code: it knows files, processes and what these write about themselves
(`STATE_DIR/NAME/state.json`). A child reads the log like anybody else, so nothing here is waited for.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.children import spawn
from agent.settings import ExportSettings

FIRST_PAUSE_S = 1.0
"""Pause before a child that died is started again, in seconds; it doubles up to the longest."""
LONGEST_PAUSE_S = 60.0
GRACE_S = 5.0
"""How long children may take for the batch under way at the end, all together, in seconds."""
CONFIG_IS_WRONG = 2
"""Exit status of a child whose file has mistakes: tried again when the file changes."""
_DEAD = ("dead.jsonl", "dead.jsonl.1")
"""What a destination refused for good (exporters/deadletter.py)."""
_REQUIRED = re.compile(
    r"""^(?:[^#\n]*[\s{,"'])?required["']?\s*:\s*["']?(?:true|yes|on)\b""", re.MULTILINE | re.IGNORECASE
)
"""In all the ways in which YAML may say it; rather too often, because then only more is kept."""


class Stamp(NamedTuple):
    """What tells whether a file has changed."""

    mtime_ns: int
    size: int
    inode: int


class Exporter:
    """One configured exporter and its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name.removesuffix(path.suffix) if path.suffix in (".yaml", ".yml") else path.name
        self.stamp = _stamp(path)
        self.pid = 0
        """Process id; 0 while none runs."""
        self.status: int | None = None
        """How the last process ended, as in `os.waitstatus_to_exitcode`; None when none did."""
        self.failures = 0
        self._started_s = self._due_s = 0.0

    def is_due(self, now: float) -> bool:
        """Whether a process has to be started; `now` is monotonic seconds."""
        if self.pid:
            return False
        if self.status == CONFIG_IS_WRONG and _stamp(self.path) == self.stamp:
            return False
        return now >= self._due_s

    def start(self, log_dir: str, state_dir: str, link_fd: int, now: float) -> None:
        """Raises OSError."""
        self.stamp = _stamp(self.path)
        self.pid = _spawn(str(self.path), log_dir, state_dir, link_fd)
        self._started_s = now

    def reap(self, now: float) -> bool:
        """Whether its process has ended since the last call. Never waits."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG) if self.pid else (0, 0)
        except ChildProcessError:  # somebody else collected it
            pid, status = self.pid, 0
        if not pid:
            return False
        self.status = os.waitstatus_to_exitcode(status)
        self.failures = 1 if now - self._started_s > LONGEST_PAUSE_S else self.failures + 1
        self._due_s = now + min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self.failures - 1, 10))
        self.pid = 0
        return True

    def end(self) -> None:
        """Asks its process to end."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def end_by(self, deadline_s: float) -> None:
        """Waits until it has ended; after a moment of the monotonic clock it is killed."""
        if not self.pid:
            return
        with suppress(OSError):
            pidfd = os.pidfd_open(self.pid)
            try:
                if not select.select([pidfd], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.pid = 0


class Exporting:
    """All of them. Nothing here raises: what goes wrong is a notice and shows in the state."""

    def __init__(self, settings: ExportSettings, log_dir: str, notice: Callable[[str], None]) -> None:
        self._settings, self._log_dir, self._notice = settings, str(Path(log_dir).absolute()), notice
        self._exporters: dict[str, Exporter] | None = None
        self._link: tuple[int, int] | None = None
        self._leaving: list[tuple[float, Exporter]] = []
        """Processes that were asked to end, each with the moment (monotonic seconds) when it is killed."""

    def tick(self, now: float) -> None:
        """Looks after the processes; `now` is monotonic seconds. The first call starts them."""
        if self._exporters is None:
            self._exporters = self._configured()
        leaving = self._reap_leaving(now)
        for exporter in self._exporters.values():
            if exporter.reap(now):
                self._tell_end(exporter)
            if exporter.is_due(now) and exporter.name not in leaving:
                self._start(exporter, now)

    def reload(self, settings: ExportSettings) -> list[str]:
        """Starts what is new, ends what is gone, restarts what has changed; returns what was done."""
        self._settings = settings
        before, after = self._exporters or {}, self._configured()
        told: list[str] = []
        for name, old in before.items():
            new = after.get(name)
            if new is not None and (new.path, new.stamp) == (old.path, old.stamp):
                after[name] = old
            elif old.pid:
                old.end()
                self._leaving.append((time.monotonic() + GRACE_S, old))
                told.append(f"exporter {name}: {'restarted' if new else 'ended'}")
        told += [f"exporter {name}: started" for name in after if name not in before]
        self._exporters = after
        return told

    def required(self) -> dict[str, bool]:
        """Of each configured exporter, by name, whether retention has to keep what it has not read."""
        exporters = self._exporters if self._exporters is not None else self._configured()
        return {name: _is_required(exporter.path) for name, exporter in exporters.items()}

    def state(self) -> list[dict[str, Any]]:
        """What each exporter tells of itself, with whether its process runs."""
        return [self._state_of(exporter) for exporter in (self._exporters or {}).values()]

    def problems(self) -> Iterator[str]:
        """A sentence for each exporter that does not work; for health."""
        for told in self.state():
            if not told["running"] or told.get("state") == "blocked":
                yield f"exporter {told['name']}: {told.get('last_error') or 'does not run'}"
            if told["dead_bytes"]:
                path = Path(self._settings.state_dir) / told["name"] / _DEAD[0]
                yield f"exporter {told['name']}: refused for good: {path}*; look at it, then remove it"

    def close(self) -> None:
        """Ends all, with a little time for what is under way; the rest is sent after the next start."""
        exporters = [*(self._exporters or {}).values(), *(one for _, one in self._leaving)]
        for exporter in exporters:
            exporter.end()
        deadline = time.monotonic() + GRACE_S
        for exporter in exporters:
            exporter.end_by(deadline)
        for fd in self._link or ():
            os.close(fd)
        self._link = None

    def _configured(self) -> dict[str, Exporter]:
        found: dict[str, Exporter] = {}
        for path in _files(self._settings):
            exporter = Exporter(path)
            if exporter.name in found:
                self._notice(
                    f"exporter {exporter.name}: {path} is left out, {found[exporter.name].path} counts"
                )
            else:
                found[exporter.name] = exporter
        return found

    def _reap_leaving(self, now: float) -> set[str]:
        """Names of exporters whose former process has not ended yet."""
        for deadline, exporter in self._leaving:
            exporter.reap(now)
            if now >= deadline:
                exporter.end_by(0)
        self._leaving = [one for one in self._leaving if one[1].pid]
        return {exporter.name for _, exporter in self._leaving}

    def _start(self, exporter: Exporter, now: float) -> None:
        try:
            if self._link is None:
                self._link = os.pipe2(os.O_CLOEXEC)
            exporter.start(self._log_dir, self._settings.state_dir, self._link[0], now)
        except OSError as error:
            exporter.status, exporter.failures = 1, exporter.failures + 1
            self._notice(f"exporter {exporter.name} cannot be started: {error}")

    def _tell_end(self, exporter: Exporter) -> None:
        told = self._state_of(exporter)
        status = exporter.status or 0
        how = f"was killed by signal {-status}" if status < 0 else "ended"
        error = told.get("last_error") if exporter.status else ""
        self._notice(f"exporter {exporter.name} {how}" + (f": {error}" if error else ""))

    def _state_of(self, exporter: Exporter) -> dict[str, Any]:
        try:
            told = orjson.loads((Path(self._settings.state_dir) / exporter.name / "state.json").read_bytes())
        except (OSError, ValueError):
            told = {}
        known = told if isinstance(told, dict) else {}
        own = {"name": exporter.name, "running": bool(exporter.pid), "pid": exporter.pid}
        return {**known, **own, "dead_bytes": _dead_bytes(Path(self._settings.state_dir) / exporter.name)}


def _files(settings: ExportSettings) -> Iterator[Path]:
    yield from map(Path, settings.files)
    for directory in map(Path, settings.dirs):
        with suppress(OSError):
            yield from sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml"))


def _dead_bytes(directory: Path) -> int:
    total = 0
    for name in _DEAD:
        with suppress(OSError):
            total += (directory / name).stat().st_size
    return total


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return Stamp(stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _is_required(path: Path) -> bool:
    """Looked for in the text: reading YAML is the child's work."""
    try:
        return _REQUIRED.search(path.read_text(errors="replace")) is not None
    except OSError:
        return False


def _spawn(file: str, log_dir: str, state_dir: str, link_fd: int) -> int:
    """Its standard input is a pipe that ends with us; its output may be what it exports to."""
    arguments = ["--exporter", file, "--log-dir", log_dir, "--state-dir", state_dir, "--child"]
    return spawn(["-m", "exporters", *arguments], {0: link_fd}, keeps_output=True)
