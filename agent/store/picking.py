# SPDX-License-Identifier: Apache-2.0
"""Lines of the log that somebody wants, from Parquet files and live segments, each once and in order.

    for line in pick(log_dir, OfProcesses({"…"}, {"process_exec"}), problems):

A pick says yes to too many lines rather than to too few; who asks looks again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agent.log.entry import line_test
from agent.log.records import OWN_HEAD
from agent.log.segments import SegmentName
from agent.store.layout import Source, sources
from agent.store.live import chunks_of
from agent.store.rebuild import is_in, lines_masked
from agent.store.records import Problems

if TYPE_CHECKING:
    import pyarrow as pa

Watch = Callable[[int, int], None]
"""Gets bytes that were looked at, and bytes that there are."""
_EXEC_ID = re.compile(rb'"exec_id":"([^"\\]*)"')


class Pick(Protocol):
    """What is wanted."""

    @property
    def columns(self) -> Sequence[str]:
        """Of docs/store.md: what `mask` looks at."""

    def mask(self, table: pa.Table) -> pa.Array:
        """Which rows of a table with these columns; no nulls."""

    def line(self, line: bytes) -> object:
        """Whether a live line, looked at without parsing it."""


class Period(NamedTuple):
    """Wall-clock nanoseconds, both included. Of live lines it is not asked: their reader has to."""

    since_ns: int = 0
    until_ns: int = 1 << 62


EVER = Period()


class OfProcesses:
    """Records of some types (`process_exec`, `fork`) about processes; segment records in any case."""

    columns = ("type", "exec_id")

    def __init__(self, ids: Collection[str], types: Collection[str]) -> None:
        import pyarrow as pa

        self._ids, self._types = pa.array(list(ids), pa.string()), pa.array(list(types), pa.string())
        self._segments = pa.array(["segment"], pa.string())
        self._raw = {one.encode() for one in ids}
        self._is_type, self._is_segment = line_test(types), line_test(("segment",))

    def mask(self, table: pa.Table) -> pa.Array:
        """By whole columns."""
        import pyarrow.compute as pc

        about = pc.and_(is_in(table.column(0), self._types), is_in(table.column(1), self._ids))
        return pc.or_(about, is_in(table.column(0), self._segments))

    def line(self, line: bytes) -> object:
        """By the first exec_id, which is the process's."""
        if self._is_segment is not None and self._is_segment(line):
            return True
        if self._is_type is not None and not self._is_type(line):
            return False
        match = _EXEC_ID.search(line)
        return match is not None and match[1] in self._raw


class OfFunctions:
    """Events of policies on functions, by the names that events may have for them, and some types in full."""

    columns = ("type", "function")

    def __init__(self, names: Collection[str], types: Collection[str] = ()) -> None:
        import pyarrow as pa

        self._names, self._types = pa.array(list(names), pa.string()), pa.array(list(types), pa.string())
        # A tracepoint stands in an event as two values (docs/events/process_kprobe.md)
        parts = {name.rpartition("/")[2].encode() for name in names}
        self._has_name = re.compile(b"|".join(map(re.escape, sorted(parts)))).search if parts else None
        self._is_type = line_test(types) if types else None

    def mask(self, table: pa.Table) -> pa.Array:
        """By whole columns."""
        import pyarrow.compute as pc

        return pc.or_(is_in(table.column(0), self._types), is_in(table.column(1), self._names))

    def line(self, line: bytes) -> object:
        """By the name, wherever it stands."""
        if self._is_type is not None and self._is_type(line):
            return True
        return not line.startswith(OWN_HEAD) and self._has_name is not None and self._has_name(line)


def pick(
    log_dir: Path, wanted: Pick, problems: Problems, period: Period = EVER, watch: Watch | None = None
) -> Iterator[bytes]:
    """Lines without newlines. A file that cannot be read is named in `problems` and passed over.

    Raises OSError when the directory cannot be read.
    """
    for _, line in pick_placed(log_dir, wanted, problems, period, watch):
        yield line


def pick_placed(
    log_dir: Path,
    wanted: Pick,
    problems: Problems,
    period: Period = EVER,
    watch: Watch | None = None,
    among: Sequence[Source] | None = None,
) -> Iterator[tuple[SegmentName, bytes]]:
    """As `pick`, with the segment of each line. `among`: segments to look at instead of all."""
    todo = sources(log_dir) if among is None else among
    sizes = [size_of(source) for source in todo]
    done, total = 0, sum(sizes)
    for source, size in zip(todo, sizes, strict=True):
        try:
            for line in lines_of(log_dir, source, wanted, period):
                yield source.name, line
        except ImportError:
            problems.append(
                f"{source.path.name} was not read: that needs pyarrow (install tracehound[store])"
            )
        except (ValueError, OSError) as error:
            problems.append(f"{source.path.name} was not read, it is damaged: {error}")
        done += size
        if watch is not None:
            watch(done, total)


def lines_of(log_dir: Path, source: Source, wanted: Pick, period: Period = EVER) -> Iterator[bytes]:
    """Those of one segment; nothing when retention was faster. Raises as `chunks_of` does."""
    if source.compacted:
        try:
            yield from lines_masked(source.path, wanted.columns, wanted.mask, *period)
        except FileNotFoundError:
            return
        return
    test = wanted.line
    for chunk in chunks_of(log_dir, source):
        yield from (line for line in chunk if line and test(line))


def size_of(source: Source) -> int:
    """Bytes of a segment, as lines or as Parquet; 0 when it is gone."""
    try:
        return source.path.stat().st_size
    except OSError:
        return 0
