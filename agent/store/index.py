# SPDX-License-Identifier: Apache-2.0
"""Writing `lineage.sqlite`: every process of the compacted segments, and what the log says about itself.

One transaction per segment: a segment is in the index whole or not at all, and going over it again changes
nothing. Readers are never waited for (write-ahead log). An exec_id is kept as the number in it.
"""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.log.segments import SegmentName
from agent.store.forget import forget
from agent.store.lives import Life

VERSION = 3
"""PRAGMA user_version; another one is built anew."""
_CACHE_KIB = 16384
_KNOWN_MOST = 200_000
_TABLES = """
CREATE TABLE segments(
  id INTEGER PRIMARY KEY, name TEXT UNIQUE, boot INTEGER, rows INTEGER, first_sequence INTEGER,
  last_sequence INTEGER, first_ns INTEGER, last_ns INTEGER, sha256 TEXT, previous TEXT);
CREATE TABLE boots(id INTEGER PRIMARY KEY, boot_id TEXT, node TEXT, UNIQUE(boot_id, node));
CREATE TABLE words(id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE processes(
  id INTEGER PRIMARY KEY, boot INTEGER, key INTEGER, exec_id TEXT, parent INTEGER, pid INTEGER, uid INTEGER,
  binary INTEGER, args INTEGER, cwd INTEGER, user INTEGER, container INTEGER, namespace INTEGER, pod INTEGER,
  start_ns INTEGER, end_ns INTEGER, status INTEGER, signal TEXT, flags INTEGER, first_sequence INTEGER,
  last_sequence INTEGER, seen INTEGER);
CREATE INDEX processes_key ON processes(key);
CREATE INDEX processes_parent ON processes(parent);
CREATE INDEX processes_pid ON processes(pid);
CREATE INDEX processes_run ON processes(binary, start_ns, flags);
CREATE INDEX processes_container ON processes(container) WHERE container IS NOT NULL;
CREATE INDEX processes_pod ON processes(pod) WHERE pod IS NOT NULL;
CREATE TABLE notes(time_ns INTEGER, sequence INTEGER, segment INTEGER, kind TEXT, content TEXT);
CREATE INDEX notes_segment ON notes(segment);
"""
RECORDED, REPLACES = 1, 2
_WORDS = ("binary", "arguments", "cwd", "user", "container", "namespace", "pod")


class SegmentFacts(NamedTuple):
    """A segment that was gone over."""

    name: str
    boot_id: str
    node: str
    rows: int
    first_sequence: int
    last_sequence: int
    first_ns: int
    """Wall-clock nanoseconds of the earliest record; 0 without one."""
    last_ns: int
    sha256: str
    previous: str = ""
    """Name of the segment before, as the `segment` record tells it."""


def key_of(exec_id: str, node: str) -> tuple[int, bool]:
    """The number that stands for an exec_id, and whether the exec_id can be made of it, pid and node.

    An exec_id is base64 of `node:ktime:pid` (docs/architecture.md); of others it is the beginning of a hash.
    """
    try:
        name, ktime, pid = base64.b64decode(exec_id, validate=True).decode().rsplit(":", 2)
        if name == node and exec_id_of(node, int(ktime), int(pid)) == exec_id and int(ktime) < 1 << 62:
            return int(ktime), True
    except ValueError:
        pass
    return int.from_bytes(hashlib.blake2b(exec_id.encode(errors="replace"), digest_size=7).digest()), False


def exec_id_of(node: str, key: int, pid: int) -> str:
    """The exec_id of which `key_of` made the number."""
    return base64.b64encode(f"{node}:{key}:{pid}".encode()).decode()


class IndexWriter:
    """Adds segments. Raises sqlite3.Error; an index that is damaged has to be removed and built anew."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._prepare()
        self._words: dict[str, int] = {}
        self._known: dict[tuple[int, str], int] = {}
        self._node = ""
        self._next = self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM processes").fetchone()[0]

    def close(self) -> None:
        """Lets go; what was added stays."""
        self._db.close()

    def has(self, segment: str) -> bool:
        """Whether a segment was added."""
        return self._db.execute("SELECT 1 FROM segments WHERE name=?", (segment,)).fetchone() is not None

    def add(
        self,
        facts: SegmentFacts,
        lives: Iterable[Life],
        notes: Iterable[tuple[int, int, str, Mapping[str, Any]]],
    ) -> None:
        """Adds all of a segment; `lives` in the order of its lines, `notes` as (time_ns, sequence, kind,
        content). Adding a segment twice changes nothing."""
        if self.has(facts.name):
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._add(facts, lives, notes)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            self._words.clear()
            self._known.clear()
            raise

    def remove(self, segments: Iterable[str]) -> None:
        """Forgets segments that expired, and of their processes all that no other segment speaks of. Of a
        parent that another one names only that stays: who it was is gone."""
        try:
            forget(self._db, segments)
        finally:
            self._words.clear()
            self._known.clear()

    def segments(self) -> list[str]:
        """Names of all segments that were added."""
        return [name for (name,) in self._db.execute("SELECT name FROM segments ORDER BY name")]

    def _prepare(self) -> None:
        if self._db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            return
        self._db.execute("BEGIN IMMEDIATE")
        for kind, name in self._db.execute("SELECT type, name FROM sqlite_master").fetchall():
            if kind == "table" and not name.startswith("sqlite_"):
                self._db.execute(f'DROP TABLE "{name}"')
        for statement in filter(str.strip, _TABLES.split(";")):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version={VERSION}")
        self._db.execute("COMMIT")

    def _add(
        self,
        facts: SegmentFacts,
        lives: Iterable[Life],
        notes: Iterable[tuple[int, int, str, Mapping[str, Any]]],
    ) -> None:
        self._node, which = facts.node, (facts.boot_id, facts.node)
        self._db.execute("INSERT OR IGNORE INTO boots(boot_id, node) VALUES(?,?)", which)
        boot = self._db.execute("SELECT id FROM boots WHERE boot_id=? AND node=?", which).fetchone()[0]
        cursor = self._db.execute(
            "INSERT INTO segments(name,boot,rows,first_sequence,last_sequence,first_ns,last_ns,sha256,"
            "previous) VALUES(?,?,?,?,?,?,?,?,?)",
            (facts.name, boot, *facts[3:]),
        )
        segment = cursor.lastrowid or 0
        self._db.executemany(
            "INSERT INTO notes VALUES(?,?,?,?,?)",
            (
                (at, sequence, segment, kind, orjson.dumps(what).decode())
                for at, sequence, kind, what in notes
            ),
        )
        self._put_lives(boot, _began(facts.name), lives)

    def _put_lives(self, boot: int, seen: int, lives: Iterable[Life]) -> None:
        """Facts of one process are put together first, so that most rows are written once."""
        rows: dict[str, list[Any]] = {}
        known: set[str] = set()
        for life in filter(itemgetter(0), lives):
            row = rows.get(life.exec_id)
            if row is None:
                number = self._find(boot, life.exec_id)
                if number is not None:
                    known.add(life.exec_id)
                row = rows[life.exec_id] = self._stub(boot, seen, life.exec_id, number)
            _merge(row, life)
        fresh: list[list[Any]] = []
        changed: list[list[Any]] = []
        for exec_id, row in list(rows.items()):
            row[_PARENT] = self._parent(boot, seen, rows, row[_PARENT], fresh)
            for place in _WORD_PLACES:
                row[place] = self._word(row[place])
            (changed if exec_id in known else fresh).append(row)
        self._db.executemany(f"INSERT INTO processes VALUES({','.join('?' * _WIDTH)})", fresh)
        self._db.executemany(_UPDATE, [_update_values(row) for row in changed])

    def _stub(self, boot: int, seen: int, exec_id: str, number: int | None) -> list[Any]:
        key, canonical = key_of(exec_id, self._node)
        if number is None:
            number, self._next = self._next, self._next + 1
            self._remember(boot, exec_id, number)
        row: list[Any] = [None] * _WIDTH
        row[:4] = number, boot, key, None if canonical else exec_id
        row[_PID] = int(base64.b64decode(exec_id).rsplit(b":", 1)[1]) if canonical else None
        row[_FLAGS], row[_SEEN] = 0, seen
        return row

    def _parent(
        self,
        boot: int,
        seen: int,
        rows: Mapping[str, list[Any]],
        exec_id: str | None,
        fresh: list[list[Any]],
    ) -> int | None:
        if not exec_id:
            return None
        if exec_id in rows:
            number: int = rows[exec_id][0]
            return number
        found = self._find(boot, exec_id)
        if found is None:
            row = self._stub(boot, seen, exec_id, None)
            fresh.append(row)
            found = row[0]
        return found

    def _find(self, boot: int, exec_id: str) -> int | None:
        number = self._known.get((boot, exec_id))
        if number is not None:
            return number
        key, canonical = key_of(exec_id, self._node)
        for number, known, pid in self._db.execute(
            "SELECT id, exec_id, pid FROM processes WHERE key=? AND boot=?", (key, boot)
        ):
            if (exec_id_of(self._node, key, pid) if canonical and known is None else known) == exec_id:
                self._remember(boot, exec_id, number)
                return int(number)
        return None

    def _remember(self, boot: int, exec_id: str, number: int) -> None:
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known[boot, exec_id] = number

    def _word(self, text: str | None) -> int | None:
        if not text:
            return None
        number = self._words.get(text)
        if number is None:
            if len(self._words) >= _KNOWN_MOST:
                self._words.clear()
            found = self._db.execute("SELECT id FROM words WHERE text=?", (text,)).fetchone()
            if found is None:
                found = (self._db.execute("INSERT INTO words(text) VALUES(?)", (text,)).lastrowid or 0,)
            number = self._words[text] = int(found[0])
        return number


_COLUMNS = (
    "id", "boot", "key", "exec_id", "parent", "pid", "uid", "binary", "args", "cwd", "user", "container",
    "namespace", "pod", "start_ns", "end_ns", "status", "signal", "flags", "first_sequence", "last_sequence",
    "seen",
)  # fmt: skip
_WIDTH = len(_COLUMNS)
_PLACE = {name: place for place, name in enumerate(_COLUMNS)}
_PARENT, _PID, _FLAGS, _SEEN = (_PLACE[name] for name in ("parent", "pid", "flags", "seen"))
_WORD_PLACES = [_PLACE["args" if name == "arguments" else name] for name in _WORDS]
_UID = _PLACE["uid"]
_START, _END = _PLACE["start_ns"], _PLACE["end_ns"]
_FIRST, _LAST = _PLACE["first_sequence"], _PLACE["last_sequence"]
_FILLED = [name for name in _COLUMNS[4:] if name not in ("flags", "seen", "last_sequence")]
_UPDATE = (
    "UPDATE processes SET "
    + ", ".join(f"{name}=coalesce({name}, ?)" for name in _FILLED)
    + ", flags=flags|?, seen=max(seen, ?), last_sequence=coalesce(?, last_sequence) WHERE id=?"
)


def _began(segment: str) -> int:
    """When it was begun, wall-clock milliseconds; its first 13 digits."""
    name = SegmentName.parse(segment)
    return name.created_ms if name is not None else 0


def _update_values(row: list[Any]) -> tuple[Any, ...]:
    return (*(row[_PLACE[name]] for name in _FILLED), row[_FLAGS], row[_SEEN], row[_LAST], row[0])


def _merge(row: list[Any], life: Life) -> None:
    """Later facts fill what earlier ones left open; the exec knows best who it was."""
    if life.end_ns:
        row[_END], row[_PLACE["status"]], row[_PLACE["signal"]] = (
            life.end_ns,
            life.status,
            life.signal or None,
        )
        row[_LAST] = life.sequence
    if row[_FLAGS] & RECORDED or not life.pid:
        row[_PARENT] = row[_PARENT] or life.parent_exec_id
        return
    row[_PARENT] = life.parent_exec_id or row[_PARENT]
    row[_PID] = life.pid
    row[_UID] = life.uid if life.uid is not None else row[_UID]
    for place, text in zip(_WORD_PLACES, life[4:11], strict=True):
        if text:
            row[place] = text
    row[_START] = life.start_ns or row[_START]
    if life.recorded:
        row[_FLAGS] |= RECORDED | life.replaces * REPLACES
        row[_FIRST] = life.sequence
