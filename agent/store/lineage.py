# SPDX-License-Identifier: Apache-2.0
"""Reading `lineage.sqlite`: with read rights on the directory only, while the compactor writes, never waited
for.

A reader that may not write cannot take part in SQLite's write-ahead log where nobody else has it open; then
nobody writes, and the file is read as it is (`immutable`). Should a compactor begin meanwhile, the file's
times tell, and the question is asked again (`consistent`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from agent.store.answers import Process
from agent.store.index import RECORDED, REPLACES, VERSION, exec_id_of, key_of
from agent.store.layout import index_path

Answer = TypeVar("Answer")
_TRIES = 5
_CHUNK = 500
"""Values in one `IN (…)`."""
_COLUMNS = (
    "p.id, p.boot, p.key, p.exec_id, p.parent, p.pid, p.uid, p.binary, p.args, p.cwd, p.user, p.container,"
    " p.namespace, p.pod, p.start_ns, p.end_ns, p.status, p.signal, p.flags, p.first_sequence,"
    " p.last_sequence"
)


class IndexUnusable(Exception):
    """There is no index, or it cannot be read; the text says which."""


class Segment(NamedTuple):
    """A segment in the index; the fields are those of index.SegmentFacts."""

    name: str
    boot_id: str
    node: str
    rows: int
    first_sequence: int
    last_sequence: int
    first_ns: int
    last_ns: int
    sha256: str
    previous: str


class Row(NamedTuple):
    """A process of the index with what its record does not show."""

    id: int
    parent: int | None
    boot: int
    process: Process
    first_sequence: int
    """Of its exec or fork; 0 when that is not in the index."""
    last_sequence: int
    """Of its exit; 0 when that is not in the index."""


def consistent(log_dir: Path, ask: Callable[[Lineage], Answer]) -> Answer:
    """What `ask` answers from an index that did not change under it. Raises IndexUnusable."""
    problem = "it changes all the time"
    for _ in range(_TRIES):
        try:
            lineage = Lineage(log_dir)
            try:
                answer = ask(lineage)
                if lineage.unchanged():
                    return answer
            finally:
                lineage.close()
        except sqlite3.Error as error:
            problem = str(error)
    raise IndexUnusable(
        f"the index of processes cannot be read ({problem}); `tracehound store reindex` makes it anew"
    )


class Lineage:
    """One connection. Raises IndexUnusable and sqlite3.Error."""

    def __init__(self, log_dir: Path) -> None:
        self._path = index_path(log_dir)
        if not self._path.exists():
            raise IndexUnusable("there is no index of processes")
        self._stamp: tuple[int, int] | None = None
        self._words: dict[int, str] = {}
        self._db = self._connect()
        if self._db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            self._db.close()
            raise IndexUnusable(
                "the index of processes is of another version; `tracehound store reindex` makes it anew"
            )
        self._nodes = dict(self._db.execute("SELECT id, node FROM boots"))

    def close(self) -> None:
        """Lets go."""
        self._db.close()

    def unchanged(self) -> bool:
        """Whether what was read is of one state."""
        return self._stamp is None or self._stamp == self._status()

    def segments(self) -> list[Segment]:
        """All, oldest first."""
        found = self._db.execute(
            "SELECT s.name, b.boot_id, b.node, s.rows, s.first_sequence, s.last_sequence, s.first_ns,"
            " s.last_ns, s.sha256, s.previous FROM segments s JOIN boots b ON b.id=s.boot ORDER BY s.name"
        )
        return [Segment(*row) for row in found]

    def notes(self) -> list[tuple[int, str, str, str]]:
        """Own records: wall-clock nanoseconds, kind, content as JSON, boot_id; in the order of the log."""
        return self._db.execute(
            "SELECT n.time_ns, n.kind, n.content, b.boot_id FROM notes n JOIN segments s ON s.id=n.segment"
            " JOIN boots b ON b.id=s.boot ORDER BY s.name, n.sequence"
        ).fetchall()

    def by_exec_id(self, exec_id: str) -> Row | None:
        """The process; of those of several boots the newest."""
        keys = {key_of(exec_id, node)[0] for node in {*self._nodes.values(), ""}}
        found = [row for key in keys for row in self._rows("p.key=?", (key,))]
        return max(
            (row for row in found if row.process.exec_id == exec_id), key=lambda row: row.id, default=None
        )

    def by_pid(self, pid: int) -> list[Row]:
        """All that had the pid, by their start."""
        return sorted(self._rows("p.pid=?", (pid,)), key=lambda row: (row.boot, row.process.start_ns, row.id))

    def by_word(self, column: str, texts: Sequence[str]) -> list[Row]:
        """All whose `binary`, `container`, `namespace` or `pod` is one of the texts."""
        ids = [number for text in texts for number in self._word_ids("text=?", text)]
        return [row for number in ids for row in self._rows(f"p.{_word_column(column)}=?", (number,))]

    def ran(self, texts: Sequence[str], since_ns: int, until_ns: int, most: int) -> tuple[list[Row], int]:
        """The oldest executions of programs that stand in the log and began in a period, and how many there
        are in all."""
        ids = [number for text in texts for number in self._word_ids("text=?", text)]
        found: list[tuple[int, int]] = []
        count = 0
        for at in range(0, len(ids), _CHUNK):
            part = ids[at : at + _CHUNK]
            where = (
                f"FROM processes WHERE binary IN ({','.join('?' * len(part))})"
                f" AND start_ns BETWEEN ? AND ? AND flags & {RECORDED}"
            )
            values = (*part, since_ns, until_ns)
            count += self._db.execute(f"SELECT count(*) {where}", values).fetchone()[0]
            found += self._db.execute(
                f"SELECT start_ns, id {where} ORDER BY start_ns LIMIT ?", (*values, most)
            ).fetchall()
        rows = {row.id: row for row in self._many("p.id", [number for _, number in sorted(found)[:most]])}
        return [rows[number] for _, number in sorted(found)[:most]], count

    def words(self, condition: str, value: str) -> list[str]:
        """Texts that match, `condition` being `text LIKE ? ESCAPE '!'` or `text GLOB ?`."""
        if condition not in ("text=?", "text GLOB ?", "text LIKE ? ESCAPE '!'"):
            raise ValueError(condition)
        return [text for (text,) in self._db.execute(f"SELECT text FROM words WHERE {condition}", (value,))]

    def by_ids(self, ids: Iterable[int]) -> list[Row]:
        """Processes by their number here."""
        return list(self._many("p.id", list(ids)))

    def children(self, ids: Iterable[int]) -> list[Row]:
        """All children of some, oldest first."""
        return list(self._many("p.parent", list(ids)))

    def _rows(self, where: str, values: Sequence[Any]) -> Iterator[Row]:
        yield from self._made(
            self._db.execute(f"SELECT {_COLUMNS} FROM processes p WHERE {where}", values).fetchall()
        )

    def _many(self, column: str, values: list[int]) -> Iterator[Row]:
        for at in range(0, len(values), _CHUNK):
            part = values[at : at + _CHUNK]
            yield from self._rows(f"{column} IN ({','.join('?' * len(part))})", part)

    def _made(self, rows: list[tuple[Any, ...]]) -> Iterator[Row]:
        self._load_words({number for row in rows for number in row[7:14] if number is not None})
        words = self._words
        for row in rows:
            (
                number, boot, key, exec_id, parent, pid, uid, binary, args, cwd, user, container, namespace,
                pod, start_ns, end_ns, status, signal, flags, first, last,
            ) = row  # fmt: skip
            process = Process(
                exec_id or exec_id_of(self._nodes.get(boot, ""), key, pid), pid or 0, "",
                words.get(binary, ""), words.get(args, ""), words.get(cwd, ""), uid, words.get(user, ""),
                words.get(container, ""), words.get(namespace, ""), words.get(pod, ""), start_ns or 0,
                end_ns or 0, status or 0, signal or "", bool(flags & REPLACES), 0, bool(flags & RECORDED),
            )  # fmt: skip
            yield Row(number, parent, boot, process, first or 0, last or 0)

    def _load_words(self, wanted: set[int]) -> None:
        missing = list(wanted - self._words.keys())
        for at in range(0, len(missing), _CHUNK):
            part = missing[at : at + _CHUNK]
            marks = ",".join("?" * len(part))
            self._words.update(self._db.execute(f"SELECT id, text FROM words WHERE id IN ({marks})", part))

    def _word_ids(self, condition: str, value: str) -> list[int]:
        return [number for (number,) in self._db.execute(f"SELECT id FROM words WHERE {condition}", (value,))]

    def _connect(self) -> sqlite3.Connection:
        where = f"file:{quote(str(self._path))}"
        try:
            db = sqlite3.connect(f"{where}?mode=ro", uri=True, timeout=2)
            db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            return db
        except sqlite3.OperationalError:
            if os.access(self._path, os.R_OK) and not self._path.with_name(self._path.name + "-wal").exists():
                self._stamp = self._status()
                return sqlite3.connect(f"{where}?immutable=1", uri=True)
            raise

    def _status(self) -> tuple[int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size


def _word_column(name: str) -> str:
    if name not in ("binary", "container", "namespace", "pod"):
        raise ValueError(name)
    return name
