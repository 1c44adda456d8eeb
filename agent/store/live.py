# SPDX-License-Identifier: Apache-2.0
"""Processes of the segments that the index does not have: the live tail, and all of a log without a store."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.log.entry import line_test, parse
from agent.log.opened import OpenedSegment
from agent.log.times import parse_time
from agent.store.answers import Process
from agent.store.layout import Source, sources
from agent.store.lives import PERIOD_KINDS, Life, lives_in, nanoseconds, note_in

Progress = Callable[[int, int], None]
"""Gets what was read and what there is, in segments."""
_TYPES = ("process_exec", "process_exit", "fork", *sorted(PERIOD_KINDS))
_wanted = line_test(_TYPES)
_EXIT = b'{"process_exit":{"process":{"exec_id":"'
_ENDED = re.compile(
    rb'(?:,"signal":"(?P<signal>[^"\\]*)")?(?:,"status":(?P<status>\d+))?,"time":"[^"\\]*"\}'
    rb'[^{}]*,"time":"(?P<time>[^"\\]*)","tracehound":\{"sequence":(?P<sequence>\d+)'
)
"""What stands behind the processes of an exit (agent/log/encode.py)."""


@dataclass(slots=True)
class LiveSegment:
    """What one segment is, as far as it was read."""

    name: str
    boot_id: str = ""
    previous: str = ""
    first_sequence: int = 0
    last_sequence: int = 0
    first_ns: int = 0
    last_ns: int = 0


@dataclass(slots=True)
class Live:
    """What was read."""

    processes: dict[str, Process] = field(default_factory=dict)
    children: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    sequences: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of the exec and the exit; 0 where it was not read."""
    segments: list[LiveSegment] = field(default_factory=list)
    notes: list[tuple[int, str, Mapping[str, Any], str]] = field(default_factory=list)
    """Wall-clock nanoseconds, kind, content, boot_id."""

    def take(self, life: Life) -> None:
        """Take in one fact."""
        process = self.processes.get(life.exec_id)
        if process is None:
            process = self.processes[life.exec_id] = process_of(life)
            if life.parent_exec_id:
                self.children[life.parent_exec_id].append(life.exec_id)
            self.sequences[life.exec_id] = (life.sequence if life.recorded else 0, 0)
            return
        first, last = self.sequences.get(life.exec_id, (0, 0))
        if life.end_ns:
            process.end_ns, process.status, process.signal = life.end_ns, life.status, life.signal
            last = life.sequence
        if not process.recorded or life.recorded:
            fill(process, life)
            first = life.sequence if life.recorded else first
        if life.sequence:
            self.sequences[life.exec_id] = first, last
        if life.parent_exec_id and process.parent_exec_id != life.parent_exec_id:
            process.parent_exec_id = process.parent_exec_id or life.parent_exec_id
            self.children[process.parent_exec_id].append(life.exec_id)


def process_of(life: Life) -> Process:
    """A process of which this is the first fact."""
    (
        exec_id, parent, pid, uid, binary, arguments, cwd, user, container, namespace, pod, start, end,
        status, signal, recorded, replaces, *_,
    ) = life  # fmt: skip
    return Process(
        exec_id, pid, parent, binary, arguments, cwd, uid, user, container, namespace, pod, start, end,
        status, signal, replaces, 0, recorded,
    )  # fmt: skip


def fill(process: Process, life: Life) -> None:
    """Put into a process what a fact tells of it."""
    process.pid = life.pid or process.pid
    process.uid = life.uid if life.uid is not None else process.uid
    for name in ("binary", "arguments", "cwd", "user", "container", "namespace", "pod", "start_ns"):
        if value := getattr(life, name):
            setattr(process, name, value)
    process.recorded |= life.recorded
    process.replaces |= life.replaces


def read_live(
    log_dir: Path, known: frozenset[str], progress: Progress | None = None, problems: list[str] | None = None
) -> Live:
    """Reads the segments that are not `known` (names). What cannot be read is named in `problems` and passed
    over. Raises OSError when the directory cannot be read."""
    live = Live()
    todo = [source for source in sources(log_dir) if str(source.name) not in known]
    for number, source in enumerate(todo):
        if progress is not None:
            progress(number, len(todo))
        try:
            _read(live, log_dir, source)
        except ImportError:
            _complain(
                problems, f"{source.path.name} was not read: that needs pyarrow (install tracehound[store])"
            )
        except (ValueError, OSError) as error:
            _complain(problems, f"{source.path.name} was not read as a whole, it is damaged: {error}")
    return live


def _complain(problems: list[str] | None, text: str) -> None:
    if problems is not None:
        problems.append(text)


def _read(live: Live, log_dir: Path, source: Source) -> None:
    segment = LiveSegment(str(source.name), first_sequence=source.name.first_sequence)
    last = b""
    for chunk in chunks_of(log_dir, source):
        for line in chunk:
            if _wanted is not None and _wanted(line):
                _take_line(live, segment, line)
        last = next((line for line in reversed(chunk) if line), last)
    parsed = parse(last) if last else None
    if parsed is not None:
        segment.last_sequence = parsed[1]
        segment.last_ns = max(segment.last_ns, _time_of(parsed[0]))
    live.segments.append(segment)


def _take_line(live: Live, segment: LiveSegment, line: bytes) -> None:
    if line.startswith(_EXIT) and _take_exit(live, line):
        return
    parsed = parse(line)
    if parsed is None:
        return
    record, _ = parsed
    for life in lives_in(record):
        if life.sequence or life.exec_id not in live.processes:  # else a parent that told of itself
            live.take(life)
    note = note_in(record)
    if note is not None:
        if note[0] == "segment":
            segment.boot_id, segment.previous = note[1].get("boot_id", ""), note[1].get("previous") or ""
            segment.first_ns = _time_of(record)
        live.notes.append((_time_of(record), *note, segment.boot_id))


def _take_exit(live: Live, line: bytes) -> bool:
    """An exit of a known process, without parsing: exact, for quotes inside of texts are escaped."""
    close = line.find(b'"', len(_EXIT))
    process = live.processes.get(line[len(_EXIT) : close].decode("ascii", "replace"))
    at = line.find(b'"in_init_tree":', line.rfind(b'"tid":'))
    told = _ENDED.match(line, line.find(b"}", at) + 1) if at > 0 else None
    if process is None or told is None:
        return False
    process.end_ns = nanoseconds(told["time"].decode())
    process.signal = (told["signal"] or b"").decode()
    process.status = int(told["status"] or 0)
    first, _ = live.sequences.get(process.exec_id, (0, 0))
    live.sequences[process.exec_id] = first, int(told["sequence"])
    return True


def chunks_of(log_dir: Path, source: Source) -> Iterator[Sequence[bytes]]:
    """Lines of a segment, many at a time, wherever it stands by now; nothing when retention was faster.

    Raises OSError, ValueError (a damaged Parquet file) and ImportError (a Parquet file without pyarrow).
    """
    if not source.compacted:
        try:
            opened = OpenedSegment(log_dir, source.name)
        except FileNotFoundError:
            again = [one for one in sources(log_dir) if one.name == source.name]
            if again and again[0].compacted:
                yield from chunks_of(log_dir, again[0])
            return
        try:
            for chunk in opened.chunks():
                opened.offset += len(chunk)
                yield chunk.split(b"\n")
        finally:
            opened.close()
        return
    from agent.store.rebuild import lines

    try:
        yield [line.rstrip(b"\n") for line in lines(source.path)]
    except FileNotFoundError:
        return


def _time_of(record: Mapping[str, Any]) -> int:
    try:
        return parse_time(str(record.get("time", "")))
    except ValueError:
        return 0
