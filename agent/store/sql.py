# SPDX-License-Identifier: Apache-2.0
"""SQL over the log, read-only: views over Parquet files and live lines. Needs duckdb and pyarrow (extra
`store`).

The statement may come from somebody who may read the log and nothing else, while root asks: it reaches no
other file, no network, no extension and no setting.
"""

from __future__ import annotations

import contextlib
import errno
import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import TracehoundError, UsageError
from agent.store.answers import Table
from agent.store.coverage import Coverage
from agent.store.layout import Source, sources
from agent.store.processes import Processes
from agent.store.queries import Store
from agent.store.schema import COLUMNS
from agent.store.scratch import scratch

if TYPE_CHECKING:
    import duckdb

MOST_ROWS = 1_000_000
MEMORY = "512MB"
SCRATCH_BYTES = 4 << 30
"""Most that a statement may write below the temporary directory."""
LIVE_BYTES = 1 << 30
"""Most of that for the lines that are not compacted: about 20 GiB of them."""
PROCESS_BYTES = 1536 << 20
"""Most private memory beyond what the process has before: DuckDB's own limit does not count every text."""
THREADS = 2
_ROOM = "set TMPDIR to a directory on a disk with room"
_COMPACT = "`tracehound store status` says why; without an agent, `tracehound store compact` helps"
_TRIES = 3
_HIDDEN = ("process_form", "parent_form", "lineage")
VIEWS = {
    "events": ("TRUE", "everything, the agent's own records included"),
    "execs": ("type = 'process_exec'", "programs that were started"),
    "exits": ("type = 'process_exit'", "processes that ended"),
    "files": ("path IS NOT NULL", "events with a file"),
    "connections": ("address IS NOT NULL", "events with a peer"),
    "policies_events": ("policy IS NOT NULL", "what policies matched"),
    "losses": ("type = 'loss'", "what was lost; `payload` is the whole record"),
    "detections": ("rule IS NOT NULL OR type = 'detection'", "what rules found"),
}
"""Name of a view to its condition and what it holds."""


def schema() -> list[tuple[str, str, str]]:
    """Columns of all views: name, type, comment."""
    return [(column.name, column.type, column.comment) for column in COLUMNS if column.name not in _HIDDEN]


def sql(store: Store, text: str, *, most: int = MOST_ROWS) -> Table:
    """Rows of a SELECT over `VIEWS`. Raises UsageError for a statement that is wrong or is none that only
    reads, TracehoundError when a library is missing."""
    try:
        import duckdb
        import pyarrow  # noqa: F401  (the live lines need it)
    except ImportError as error:
        raise TracehoundError(
            f"queries need the Python package {error.name}, which is missing", "install tracehound[store]"
        ) from None
    _check(duckdb, text)
    problems: list[str] = []
    for attempt in range(_TRIES):
        with _database(store, problems) as db:
            try:
                columns, types, rows = _answer(db, text, most + 1)
            except duckdb.IOException as error:
                if attempt + 1 < _TRIES:
                    continue  # retention was faster
                raise TracehoundError(f"the store cannot be read: {error}") from None
            except (MemoryError, duckdb.OutOfMemoryException):
                raise UsageError(
                    f"the statement needs more memory than {MEMORY}", "name fewer columns, or add LIMIT"
                ) from None
            except duckdb.Error as error:
                raise UsageError(
                    _first_line(error), "`tracehound query --schema` shows views and columns"
                ) from None
            left_out = 1 if len(rows) > most else 0
            return Table(columns, types, rows[:most], _coverage(store, problems), left_out)
    raise AssertionError("unreachable")


def _answer(db: duckdb.DuckDBPyConnection, text: str, most: int) -> tuple[list[str], list[str], list[Any]]:
    """Columns, their types, and rows. In a thread, because Ctrl-C does not reach a statement that runs in
    this one; it ends at once then."""

    def work() -> tuple[list[str], list[str], list[Any]]:
        found = db.execute(text)
        about = found.description or ()
        return [one[0] for one in about], [str(one[1]) for one in about], found.fetchmany(most)

    with _modest(), ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            db.interrupt()
            raise


@contextlib.contextmanager
def _modest() -> Iterator[None]:
    """A limit of memory for as long as somebody's statement runs: so much beyond what the process has."""
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _private_bytes() + PROCESS_BYTES
    limits = [one for one in (wanted, before, most) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def _private_bytes() -> int:
    """What RLIMIT_DATA counts now (VmData of /proc/self/status, proc(5), in KiB there)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmData:")) * 1024


def _coverage(store: Store, problems: Sequence[str]) -> Any:
    def look(_: Processes, coverage: Coverage) -> Any:
        return coverage._replace(notes=(*coverage.notes, *problems)).within(0, 1 << 62)

    return store.ask(look)


def _check(duckdb: Any, text: str) -> None:
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise UsageError(
            _first_line(error), "one SELECT; `tracehound query --schema` shows the views"
        ) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise UsageError("only one statement, and a SELECT", "`tracehound query --schema` shows the views")


def _first_line(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


@contextlib.contextmanager
def _database(store: Store, problems: list[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with scratch() as directory:
        files = [*_whole(store, problems), *_live_files(store, directory)]
        with duckdb.connect(
            config={
                "memory_limit": MEMORY,
                "threads": THREADS,
                "temp_directory": str(directory),
                "max_temp_directory_size": f"{(SCRATCH_BYTES - LIVE_BYTES) >> 20}MiB",
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "python_enable_replacements": False,
            }
        ) as db:
            _make_views(db, [str(path) for path in files])
            _shut(db, [str(path) for path in files])
            yield db


def _make_views(db: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    names = [column.name for column in COLUMNS if column.name not in _HIDDEN]
    nothing = ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in COLUMNS)
    chosen = ", ".join(f'"{name}"' for name in names)
    table = f"SELECT {nothing} WHERE FALSE"
    if files:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
        table += f" UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name=true)"
    for name, (condition, _) in VIEWS.items():
        db.execute(f"CREATE VIEW {name} AS SELECT {chosen} FROM ({table}) WHERE {condition}")


def _shut(db: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """From here on nothing but the files of the views is within reach."""
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    db.execute(f"SET allowed_paths=[{listed}]")
    db.execute("SET TimeZone='UTC'")  # `time` is, so that now()::TIMESTAMP compares on every machine
    db.execute("SET enable_external_access=false")
    db.execute("SET lock_configuration=true")


def _whole(store: Store, problems: list[str]) -> list[Path]:
    """The Parquet files that are whole; the others are told."""
    from agent.store.parquet import opened

    found = []
    for source in _sources(store):
        if not source.compacted:
            continue
        try:
            with opened(source.path):
                found.append(source.path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            problems.append(f"{source.path.name} was left out, it is damaged: {_first_line(error)}")
    return found


def _live_files(store: Store, directory: Path) -> Iterator[Path]:
    """Segments that are not compacted, as Parquet files of this query: memory and disk stay bounded."""
    from agent.store import parquet
    from agent.store.reading import SegmentReading

    todo = [source for source in _sources(store) if not source.compacted]
    left = LIVE_BYTES
    for number, source in enumerate(todo):
        if store.progress is not None:
            store.progress(number, len(todo))
        reading = SegmentReading(source.path, keep_lives=False, whole_lines=True)
        path = directory / f"{source.path.stem}.parquet"
        try:
            parquet.write(path, reading.tables(), reading.metadata, durable=False)
        except FileNotFoundError:
            again = [one.path for one in _sources(store) if one.name == source.name and one.compacted]
            yield from again
            continue
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TracehoundError(f"there is no room for a query in {directory.parent}", _ROOM) from None
            raise
        left -= path.stat().st_size
        if left < 0:
            raise TracehoundError("too many lines are not compacted yet: a query would copy them", _COMPACT)
        yield path


def _sources(store: Store) -> list[Source]:
    return sources(store.log_dir)
