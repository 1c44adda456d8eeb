# SPDX-License-Identifier: Apache-2.0
"""The agent's side of compaction: starts the compactor when a segment was closed, and publishes what it
reports.

Never waits: the agent's loop calls `tick`. One compactor at a time; one that fails is tried again later.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.errors import TracehoundError
from agent.log.manifest import Compaction
from agent.log.segments import SegmentName
from agent.settings import StoreSettings
from agent.store.layout import compacted_segments, index_path, pending

PAUSE_S = 10.0
"""Between two looks for segments to compact, in seconds."""
TOGETHER = 4
"""Segments that are worth a start, which costs as much as 20,000 events."""
PATIENCE_S = 60.0
"""How long fewer segments wait, in seconds."""
RETRY_S = 300.0
"""After a compactor that failed, in seconds."""
SILENT_S = 600.0
"""A compactor that reports nothing for so long is ended, in seconds: one segment takes a few."""
CLOSE_S = 2.0
"""What an ended one may take to go, in seconds: none does as long as the disk holds it."""
_READ_BYTES = 65536
_SAID_BYTES = 4096
"""Of its complaints, the last are kept."""

Publish = Callable[[Compaction], None]


class Compactor:
    """Child process and pipe. `publish` is LogWriter.publish_compacted; `report` gets sentences for
    people."""

    def __init__(
        self,
        log_dir: Path,
        settings: StoreSettings,
        publish: Publish,
        report: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.published = 0
        """Segments since the start."""
        self._log_dir, self._publish, self._report, self._monotonic = log_dir, publish, report, monotonic
        self._child: subprocess.Popen[bytes] | None = None
        self._held = self._complaints = b""
        self._heard = 0.0  # when the child was started or wrote something last
        self._next = 0.0
        self._said: set[str] = set()
        self._refused = False  # a file of this run: the next one would only make it again
        self._works = True  # the last run that ended
        self._failed: frozenset[SegmentName] = frozenset()  # what it should have compacted, and did not
        self._tried: frozenset[SegmentName] = frozenset()  # what the run at hand began with
        self._compacted: set[SegmentName] | None = None
        self._forget_at: float | None = None  # when the index has to forget something at the latest

    def tick(self) -> None:
        """Publishes what was finished, and starts the next run when it is time. Raises nothing."""
        if self._child is not None:
            self._read()
            if self._child.poll() is not None:
                self._read()
                self._ended(self._child.returncode)
            elif self._monotonic() - self._heard >= SILENT_S:
                self._give_up(self._child)
        elif self._monotonic() >= self._next:
            self._next = self._monotonic() + PAUSE_S
            self._start()

    def facts(self) -> dict[str, object]:
        """For the agent's status."""
        return {"published": self.published, "works": self._works, "running": self._child is not None}

    def takes(self, segment: SegmentName | None) -> bool:
        """Whether lines are going to be compacted, as far as is known: not while compaction fails, nor those
        with which it did. None: lines that are being written."""
        return self.settings.enabled and self._works and segment not in self._failed

    def close(self) -> None:
        """Ends a run; what it had not reported is done again by the next one."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        with suppress(subprocess.TimeoutExpired):
            child.wait(CLOSE_S)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()

    def _start(self) -> None:
        try:
            what = self._due()
            if what is None:
                return
            self._child = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "agent.store.compact", str(self._log_dir), *what,
                    "--older-than", str(self.settings.after_seconds),
                    "--memory", str(self.settings.memory_bytes),
                ],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
                process_group=0,
            )  # fmt: skip
        except OSError as error:
            self._say(f"the compactor could not be started: {error}")
            self._next = self._monotonic() + RETRY_S
            return
        self._forget_at, self._heard = None, self._monotonic()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)

    def _due(self) -> list[str] | None:
        """Flags of the run that is due: compaction, which forgets as well, or that alone. Raises OSError."""
        self._note_expired()
        wait = self.settings.after_seconds
        waiting = pending(self._log_dir, wait, time.time())
        if self.settings.enabled and (
            len(waiting) >= TOGETHER or pending(self._log_dir, wait + PATIENCE_S, time.time())
        ):
            self._tried = frozenset(waiting)
            return []
        late = self._forget_at is not None and self._monotonic() >= self._forget_at
        return ["--forget"] if late else None

    def _note_expired(self) -> None:
        """A Parquet file that was there and is not any more; what went before the start is not known."""
        before, self._compacted = self._compacted, set(compacted_segments(self._log_dir))
        if before is None:
            if index_path(self._log_dir).exists():
                self._forget_at = self._monotonic()
        elif before - self._compacted and self._forget_at is None:
            self._forget_at = self._monotonic() + PATIENCE_S

    def _read(self) -> None:
        child = self._child
        if child is None or child.stdout is None or child.stderr is None:
            return
        while chunk := _available(child.stderr.fileno()):
            self._complaints, self._heard = (self._complaints + chunk)[-_SAID_BYTES:], self._monotonic()
        while chunk := _available(child.stdout.fileno()):
            self._held, self._heard = self._held + chunk, self._monotonic()
        *lines, self._held = self._held.split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            self._publish(Compaction.parse(line))
            self.published += 1
        except (ValueError, OSError, TracehoundError) as error:
            self._refused = True
            self._say(f"a compacted segment was not taken over: {error}")

    def _ended(self, status: int) -> None:
        child, self._child, self._held = self._child, None, b""
        said, self._complaints = self._complaints, b""
        for pipe in (child.stdout, child.stderr) if child is not None else ():
            if pipe is not None:
                pipe.close()
        for text in said.decode(errors="replace").splitlines()[-3:]:
            self._say(f"compaction: {text}")
        refused, self._refused = self._refused, False
        self._judge(status)
        if status or said or refused:
            self._forget_at = self._monotonic()
            self._next = self._monotonic() + RETRY_S
            if status and not said:
                self._say(f"compaction: the process ended with status {status}")

    def _give_up(self, child: subprocess.Popen[bytes]) -> None:
        """It hangs. Nobody waits for it, and no other is started before it has gone: a disk that does not
        answer keeps it, and would keep the next."""
        self._works, self._heard = False, self._monotonic()
        self._say(f"compaction: nothing was heard of it for {SILENT_S:.0f} s, it is ended")
        child.kill()

    def _judge(self, status: int) -> None:
        """What is known now of segments that cannot be compacted."""
        tried, self._tried = self._tried, frozenset()
        if not tried:
            return  # it only made the index forget
        self._works = status == 0
        with suppress(OSError):
            self._failed = tried.intersection(pending(self._log_dir, 0, time.time()))

    def _say(self, text: str) -> None:
        if text not in self._said and len(self._said) < 100:
            self._said.add(text)
            self._report(text)


def _available(fd: int) -> bytes:
    """What stands in a pipe by now."""
    try:
        return os.read(fd, _READ_BYTES)
    except BlockingIOError:
        return b""
