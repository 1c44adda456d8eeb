# SPDX-License-Identifier: Apache-2.0
"""A hunt by several processes: each takes a part of the log, and the answers stand in the order of the log.

First each part says what paths led to in it (agent/detect/aliases.py), which every part has to know of all of
them. Rules are compiled before the processes are forked.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from agent.detect.aliases import Aliases, aliases_of, pairs_in
from agent.detect.conditions import fields_of
from agent.detect.exceptions import Exceptions
from agent.detect.hunt import Hunt
from agent.detect.prefilter import asks_parents
from agent.detect.rules import Rule
from agent.detect.running import Engine, contents_of, engine_of
from agent.errors import TracehoundError
from agent.store.layout import Source, sources
from agent.store.picking import EVER, Period, Watch, size_of
from agent.store.records import Problems

MOST_JOBS = 4
"""Processes that are started without being asked for more; a node has other work."""
PART_BYTES = 32 << 20
"""A part of the log that is smaller is not worth a process."""
_LINES_OF_ROWS = 20
"""Bytes of lines for a byte of the store, about."""
_NAMES = "DestinationHostname"


class Task(NamedTuple):
    """What is hunted for."""

    log_dir: Path
    rules: tuple[Rule, ...]
    exceptions: Exceptions
    period: Period = EVER
    limit: int = 1000
    """So many detections are wanted whole; all are counted."""


class Summary:
    """What was found so far."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """Detections by the rules' ids."""
        self.asked = 0
        """Events that the engine was asked about."""
        self.problems: list[str] = []
        self.jobs = 0


def jobs_for(task: Task, most: int = 0) -> int:
    """How many processes a hunt is worth; `most` 0: as the machine has CPUs. Raises OSError."""
    if any(_NAMES in fields_of(rule.condition) for rule in task.rules):
        return 1  # names that were asked for just before may stand in another part
    cpus = most or min(len(os.sched_getaffinity(0)), MOST_JOBS)
    size = sum(map(_weight, sources(task.log_dir)))
    return max(1, min(cpus, size // PART_BYTES))


def hunt(task: Task, jobs: int, summary: Summary, watch: Watch | None = None) -> Iterator[dict[str, Any]]:
    """The first detections, `task.limit` of them, in the order of the log. Raises OSError, and
    TracehoundError when a process ends before it is done."""
    todo = sources(task.log_dir)
    if not todo:
        summary.problems.append(f"{task.log_dir} holds no log yet")
    parts = _parts(todo, jobs)
    summary.jobs = len(parts)
    engine = engine_of(task.rules, task.exceptions)
    fork = multiprocessing.get_context("fork")
    pipes = [fork.Pipe() for _ in parts]
    workers = [
        fork.Process(target=_work, args=(task, engine, part, pipes, at), daemon=True)
        for at, part in enumerate(parts)
    ]
    try:
        for worker, (_, theirs) in zip(workers, pipes, strict=True):
            worker.start()
            theirs.close()
        yield from _Gathering([ours for ours, _ in pipes], task.limit, summary, watch).run()
    finally:
        for worker in workers:
            if worker.pid is not None:
                worker.terminate()
                worker.join()
        for ours, _ in pipes:
            ours.close()


def _weight(source: Source) -> int:
    return size_of(source) * (_LINES_OF_ROWS if source.compacted else 1)


def _parts(todo: Sequence[Source], jobs: int) -> list[list[Source]]:
    """The segments in as many rows of about the same weight."""
    each = sum(map(_weight, todo)) / jobs + 1
    parts: list[list[Source]] = [[] for _ in range(jobs)]
    before = 0
    for source in todo:
        parts[min(int(before / each), jobs - 1)].append(source)
        before += _weight(source)
    return [part for part in parts if part] or [[]]


def _work(
    task: Task, engine: Engine, part: list[Source], pipes: list[tuple[Connection, Connection]], at: int
) -> None:
    """One process. It says what it found to the pipe of its number, and ends when nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks is told, and ends this
    for number, (ours, theirs) in enumerate(pipes):
        ours.close()
        if number > at:
            theirs.close()
    to = pipes[at][1]
    try:
        _hunt_in(task, engine, part, to)
    except BrokenPipeError:
        os._exit(0)
    except OSError as error:
        to.send(("error", error))
    except ImportError as error:
        to.send(("missing", error.name or str(error)))


def _hunt_in(task: Task, engine: Engine, part: list[Source], to: Connection) -> None:
    problems = Problems()
    told = part if asks_parents(task.rules) else [one for one in part if not one.compacted]
    to.send(("aliases", aliases_of(pairs_in(task.log_dir, told, problems))))
    aliases: Aliases = to.recv()

    def watch(done: int, total: int) -> None:
        to.send(("at", (done, total)))

    run = Hunt(task.log_dir, task.rules, engine, problems, watch, aliases, part)
    counts: Counter[str] = Counter()
    for _record, hits in run.run(task.period):
        if counts.total() < task.limit:
            to.send(("found", list(contents_of(hits))))
        counts.update(hit.rule.id for hit in hits)
    to.send(("done", (counts, run.candidates, list(problems))))


class _Gathering:
    """What the processes say, in order."""

    def __init__(
        self, connections: Sequence[Connection], limit: int, summary: Summary, watch: Watch | None
    ) -> None:
        self._connections, self._left, self._summary, self._watch = connections, limit, summary, watch
        self._aliases: list[Aliases] = []
        self._found: list[deque[dict[str, Any]]] = [deque() for _ in connections]
        self._at: dict[int, tuple[int, int]] = {}
        self._done: set[int] = set()

    def run(self) -> Iterator[dict[str, Any]]:
        """Detections, until all are done."""
        number = {id(one): at for at, one in enumerate(self._connections)}
        while len(self._done) < len(self._connections):
            listening = [one for one in self._connections if number[id(one)] not in self._done]
            for ready in wait(listening):
                assert isinstance(ready, Connection)
                self._take(number[id(ready)], ready)
            yield from self._next()

    def _take(self, at: int, connection: Connection) -> None:
        try:
            kind, content = connection.recv()
        except EOFError:
            raise TracehoundError(
                "a process of the hunt ended before it was done",
                "is there memory enough? `--jobs 1` takes less",
            ) from None
        if kind == "error":
            raise content
        if kind == "missing":
            raise TracehoundError(f"a hunt needs the Python package {content}", "install tracehound[store]")
        if kind == "aliases":
            self._share(content)
        elif kind == "found":
            self._found[at].extend(content)
        elif kind == "at":
            self._at[at] = content
            if self._watch is not None:
                done, total = map(sum, zip(*self._at.values(), strict=True))
                self._watch(done, total)
        else:
            counts, asked, problems = content
            self._summary.counts += counts
            self._summary.asked += asked
            self._summary.problems = list(dict.fromkeys((*self._summary.problems, *problems)))
            self._done.add(at)

    def _share(self, aliases: Aliases) -> None:
        self._aliases.append(aliases)
        if len(self._aliases) == len(self._connections):
            pairs = ((path, one) for some in self._aliases for path, found in some.items() for one in found)
            everything = aliases_of(pairs)
            for one in self._connections:
                one.send(everything)

    def _next(self) -> Iterator[dict[str, Any]]:
        """What stands before all that is still to be found."""
        for at, found in enumerate(self._found):
            while found and self._left:
                self._left -= 1
                yield found.popleft()
            if at not in self._done:
                return
