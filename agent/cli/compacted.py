# SPDX-License-Identifier: Apache-2.0
"""Records of compacted segments for `tracehound events`, read back from their Parquet files."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from agent.log.entry import Entry, line_test, parse
from agent.log.segments import SegmentName, list_segments
from agent.log.window import LATE_NS, Window
from agent.store.layout import compacted_segments, parquet_path


def compacted_entries(
    directory: Path, since_ns: int | None, until_ns: int | None, types: Collection[str] | None
) -> Iterator[Entry]:
    """Records of the segments before the first live one that may be in the period (wall-clock nanoseconds).
    What cannot be read is told on standard error."""
    live = list_segments(directory)
    names = sorted({*compacted_segments(directory), *live})
    for name in Window(since_ns=since_ns).wanted(names):
        late = until_ns is not None and name.created_ms * 1_000_000 > until_ns + LATE_NS
        if late or (live and name >= live[0]):
            return
        try:
            yield from _entries(directory, name, types)
        except FileNotFoundError:
            continue  # retention was faster
        except ImportError as error:
            print(
                f"tracehound: records before {live[0] if live else 'now'} are compacted and left out:"
                f" {error.name} is missing; install tracehound[store]",
                file=sys.stderr,
            )
            return
        except (OSError, ValueError) as error:
            print(f"tracehound: {name} is left out, its Parquet file is damaged: {error}", file=sys.stderr)


def _entries(directory: Path, name: SegmentName, types: Collection[str] | None) -> Iterator[Entry]:
    from agent.store.rebuild import lines

    test, offset = line_test(types), 0
    for line in lines(parquet_path(directory, name)):
        offset += len(line)
        if test is not None and not test(line):
            continue
        parsed = parse(line)
        if parsed is not None:
            yield Entry(parsed[0], line.rstrip(b"\n"), str(name), offset, parsed[1])
