# SPDX-License-Identifier: Apache-2.0
"""`python -m agent.store.compact LOGDIR`: closed segments to Parquet, one account per segment on standard
output.

A process of its own, of low priority and bounded memory. It writes `store/<name>.parquet.new`, reads that
back, compares the lines with the segment's and only then says so; who holds the log directory publishes it.
Killed at any point it leaves a `.new` file, which the next run writes anew.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from agent.errors import AlreadyRunning
from agent.log.manifest import Compaction
from agent.log.segments import SegmentName
from agent.store.alone import alone
from agent.store.expiry import forget_expired
from agent.store.index import IndexWriter
from agent.store.layout import UNPUBLISHED, index_path, parquet_path, pending, store_dir
from agent.store.lean import without_pandas
from agent.store.rights import give_directory, give_like

if TYPE_CHECKING:
    from agent.store.reading import SegmentReading

MEMORY_BYTES = 400 << 20
_MISSING = "tracehound: the store needs pyarrow: install tracehound[store]"


class NotRebuilt(Exception):
    """The lines read back from the Parquet file are not those of the segment."""


def compact(log_dir: Path, name: SegmentName, index: IndexWriter) -> Compaction:
    """Writes the Parquet file of a closed segment and adds it to the index. Raises OSError, sqlite3.Error,
    and NotRebuilt (the segment stays as it is)."""
    path = parquet_path(log_dir, name)
    path = path.with_name(path.name + UNPUBLISHED)
    try:
        reading = _write(log_dir / str(name), path, strict=False)
    except NotRebuilt:
        reading = _write(log_dir / str(name), path, strict=True)
    index.add(reading.facts(str(name)), reading.lives, reading.notes)
    from agent.store.parquet import sha256_of

    return Compaction(
        str(name),
        reading.sha256,
        sha256_of(path),
        reading.rows,
        reading.first_sequence,
        reading.last_sequence,
    )


def _write(source: Path, target: Path, *, strict: bool) -> SegmentReading:
    from agent.store import parquet
    from agent.store.reading import SegmentReading
    from agent.store.rebuild import blocks

    reading = SegmentReading(source, strict=strict)
    parquet.write(target, reading.tables(), reading.metadata)
    give_like(source, target)
    digest = hashlib.sha256()
    for block in blocks(target):
        digest.update(block)
    if digest.hexdigest() != reading.sha256:
        raise NotRebuilt(f"{source.name}: the lines read back differ")
    return reading


def accounts(log_dir: Path, names: list[SegmentName]) -> Iterator[Compaction]:
    """Compacts segments one after the other; one that cannot be is told on standard error and left as it
    is."""
    path = index_path(log_dir)
    store_dir(log_dir).mkdir(mode=0o750, exist_ok=True)
    give_directory(log_dir, store_dir(log_dir))
    for name in names:
        index = open_index(path)
        try:
            yield compact(log_dir, name, index)
        except (OSError, ValueError, NotRebuilt, sqlite3.Error) as error:
            if isinstance(error, FileNotFoundError):
                continue  # retention was faster
            print(f"{name} was not compacted: {error}", file=sys.stderr)
        finally:
            index.close()


def forget_told(log_dir: Path) -> None:
    """The index forgets what retention removed; what goes wrong is told on standard error."""
    try:
        forget_expired(log_dir)
    except (OSError, sqlite3.Error) as error:
        print(f"the index still has what expired: {error}", file=sys.stderr)


def open_index(path: Path) -> IndexWriter:
    """The index; one that cannot be read is set aside (`.damaged`) and begun anew: `reindex` fills it."""
    try:
        index = IndexWriter(path)
    except sqlite3.DatabaseError:
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(path.with_name(path.name + ".damaged"))
        index = IndexWriter(path)
    return index


def be_modest(memory_bytes: int) -> None:
    """Lowest priority for processor and disk, and a limit of memory (private pages, setrlimit(2))."""
    import psutil

    os.nice(19)
    with suppress(OSError, psutil.Error):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def arguments() -> argparse.ArgumentParser:
    """Of the process that the agent starts."""
    parser = argparse.ArgumentParser(prog="python -m agent.store.compact", description=__doc__)
    parser.add_argument("log_dir", type=Path)
    parser.add_argument("--older-than", type=float, default=0.0, metavar="SECONDS", help="closed so long ago")
    parser.add_argument("--memory", type=int, default=MEMORY_BYTES, metavar="BYTES", help="0: no limit")
    parser.add_argument("--forget", action="store_true", help="only take out of the index what expired")
    parser.add_argument("--most", type=int, default=0, metavar="N", help="segments in this run; 0: all")
    return parser


def main(argv: list[str] | None = None) -> int:
    """0: done; 1: something is missing or another compactor is at work (told on standard error)."""
    args = arguments().parse_args(argv)
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    without_pandas()
    be_modest(args.memory)
    gc.disable()  # it makes no cycles
    try:
        with alone(args.log_dir):
            _work(args)
    except AlreadyRunning as error:
        print(error.message, file=sys.stderr)
        return 1
    except ImportError:
        print(_MISSING, file=sys.stderr)
        return 1
    return 0


def _work(args: argparse.Namespace) -> None:
    forget_told(args.log_dir)
    if args.forget:
        return
    names = pending(args.log_dir, args.older_than, time.time())
    for account in accounts(args.log_dir, names[: args.most or None]):
        print(orjson.dumps(account._asdict()).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
