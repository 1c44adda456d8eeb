# SPDX-License-Identifier: Apache-2.0
"""Lines of the log that have to do with something, from Parquet files and live segments, each once and in
order."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agent.log.entry import line_test, parse
from agent.store.flat import COLUMNS, flatten
from agent.store.layout import Source, sources
from agent.store.live import Progress, chunks_of

_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_EXEC_ID = re.compile(rb'"exec_id":"([^"\\]*)"')
_OWN = b'{"tracehound"'


class Wanted(NamedTuple):
    """Which lines: those whose column is one of the values, within a period (wall-clock nanoseconds)."""

    column: str
    """`exec_id`, `address`, `path` or `type`."""
    values: Collection[str]
    from_ns: int = 0
    to_ns: int = 1 << 62
    skip: frozenset[str] = frozenset()
    """Names of segments that need not be looked at."""


class Problems(list[str]):
    """Sentences about segments that could not be read."""


def find_records(
    log_dir: Path, wanted: Wanted, problems: Problems, progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """Records in the order of the log. A file that cannot be read is named in `problems` and passed over.

    Raises OSError when the directory cannot be read.
    """
    todo = [source for source in sources(log_dir) if str(source.name) not in wanted.skip]
    for number, source in enumerate(todo):
        if progress is not None:
            progress(number, len(todo))
        try:
            for line in list(_lines(log_dir, source, wanted)):
                parsed = parse(line)
                if parsed is not None and _holds(parsed[0], wanted):
                    yield parsed[0]
        except ImportError:
            problems.append(
                f"{source.path.name} was not read: that needs pyarrow (install tracehound[store])"
            )
        except (ValueError, OSError) as error:
            problems.append(f"{source.path.name} was not read, it is damaged: {error}")


def _lines(log_dir: Path, source: Source, wanted: Wanted) -> Iterator[bytes]:
    if source.compacted:
        from agent.store.rebuild import lines_where

        try:
            yield from lines_where(source.path, wanted.column, wanted.values, wanted.from_ns, wanted.to_ns)
        except FileNotFoundError:
            return  # retention was faster
        return
    for chunk in chunks_of(log_dir, source):
        yield from _tested(chunk, wanted)


def _tested(chunk: Collection[bytes], wanted: Wanted) -> Iterator[bytes]:
    """Lines that may be wanted, found without parsing."""
    if wanted.column == "exec_id":
        ids = {value.encode() for value in wanted.values}
        for line in chunk:
            if line.startswith(_OWN):  # a detection may name others before its process
                found = not ids.isdisjoint(_EXEC_ID.findall(line))
            else:
                match = _EXEC_ID.search(line)
                found = match is not None and match[1] in ids
            if found:
                yield line
        return
    if wanted.column == "type":
        yield from filter(line_test(wanted.values), chunk)
        return
    needles = [value.encode() for value in wanted.values]
    for line in chunk:
        if b"\\" in line or any(needle in line for needle in needles):
            yield line


def _holds(record: dict[str, Any], wanted: Wanted) -> bool:
    try:
        row = flatten(record, "")
    except (ValueError, TypeError, AttributeError):
        return False
    return row[_PLACE[wanted.column]] in wanted.values and wanted.from_ns <= row[0] <= wanted.to_ns
