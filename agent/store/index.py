# SPDX-License-Identifier: Apache-2.0
"""Writing `lineage.sqlite`: every process of the compacted segments, and what the log says about itself.

One transaction per segment: a segment is in the index whole or not at all, and going over it again changes
nothing. Readers are never waited for (write-ahead log). An exec_id is kept as the number in it.
"""

from __future__ import annotations

import binascii
import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.log.segments import SegmentName
from agent.store.forget import forget
from agent.store.lives import Life
from agent.store.rights import give_index

VERSION = 3
"""PRAGMA user_version; another one is built anew."""
_CACHE_KIB = 16384
_KNOWN_MOST = 200_000
_LARGEST = 1 << 62
_CHUNK = 500
"""Values in one `IN (…)`."""
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
CREATE INDEX processes_run ON processes(binary, start_ns) WHERE flags & 1;
CREATE INDEX processes_container ON processes(container) WHERE container IS NOT NULL;
CREATE INDEX processes_pod ON processes(pod) WHERE pod IS NOT NULL;
CREATE TABLE notes(time_ns INTEGER, sequence INTEGER, segment INTEGER, kind TEXT, content TEXT);
CREATE INDEX notes_segment ON notes(segment);
"""
RECORDED, REPLACES = 1, 2


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
    key, pid = _key_and_pid(exec_id, node)
    return key, pid is not None


def _key_and_pid(exec_id: str, node: str) -> tuple[int, int | None]:
    """The number, and the pid of an exec_id that can be made of both."""
    try:
        name, ktime, pid = binascii.a2b_base64(exec_id, strict_mode=True).rsplit(b":", 2)
        key, number = int(ktime), int(pid)
        if (
            0 <= key < _LARGEST
            and 0 <= number < _LARGEST
            and name == node.encode()
            and exec_id_of(node, key, number) == exec_id
        ):
            return key, number
    except ValueError:
        pass
    digest = hashlib.blake2b(exec_id.encode(errors="replace"), digest_size=7).digest()
    return int.from_bytes(digest), None


def exec_id_of(node: str, key: int, pid: int) -> str:
    """The exec_id of which `key_of` made the number."""
    return binascii.b2a_base64(f"{node}:{key}:{pid}".encode(), newline=False).decode()


class IndexWriter:
    """Adds segments. Raises OSError and sqlite3.Error; a damaged index has to be removed and built anew."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o750, exist_ok=True)
        give_index(path)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        self._prepare()
        self._words: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        """Of the processes that the segment at hand names, and that are here."""
        self._keys: dict[str, tuple[int, int | None]] = {}
        """Key and pid of all that it names, as `_key_and_pid` tells."""
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
            raise

    def remove(self, segments: Iterable[str]) -> None:
        """Forgets segments that expired, and of their processes all that no other segment speaks of. Of a
        parent that another one names only that stays: who it was is gone."""
        try:
            forget(self._db, segments)
        finally:
            self._words.clear()

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
        told = [life for life in lives if life.exec_id]
        columns = list(zip(*told, strict=True)) or [()] * len(Life._fields)
        self._load_numbers(boot, {*columns[0], *filter(None, columns[1])})
        self._load_words({text for column in columns[4:11] for text in set(column) if text})
        rows: dict[str, list[Any]] = {}
        known: set[str] = set()
        for life in told:
            row = rows.get(life[0])
            if row is not None:
                _merge(row, life, self._words)
                continue
            if life[0] in self._numbers:
                known.add(life[0])
            rows[life[0]] = self._row(boot, seen, life)
        fresh: list[list[Any]] = []
        changed: list[list[Any]] = []
        for exec_id, row in rows.items():
            if row[_PARENT]:
                row[_PARENT] = self._numbers.get(row[_PARENT]) or self._named(boot, seen, row[_PARENT], fresh)
            (changed if exec_id in known else fresh).append(row)
        self._db.executemany(f"INSERT INTO processes VALUES({','.join('?' * _WIDTH)})", fresh)
        self._db.executemany(_UPDATE, [_update_values(row) for row in changed])

    def _row(self, boot: int, seen: int, life: Life) -> list[Any]:
        """Of a process of which this is the first fact; the parent stands there as its exec_id."""
        (
            exec_id, parent, pid, uid, binary, arguments, cwd, user, container, namespace, pod, start_ns,
            end_ns, status, signal, recorded, replaces, first, last,
        ) = life  # fmt: skip
        if not pid:
            row = self._stub(boot, seen, exec_id)
            _merge(row, life, self._words)
            return row
        key, told = self._keys[exec_id]
        word, flags = self._words.get, (RECORDED | replaces * REPLACES) if recorded else 0
        return [
            self._number(exec_id), boot, key, exec_id if told is None else None, parent or None, pid, uid,
            word(binary), word(arguments), word(cwd), word(user), word(container), word(namespace), word(pod),
            start_ns or None, end_ns or None, status if end_ns else None, signal or None, flags,
            first if recorded else None, (last or first) if end_ns else None, seen,
        ]  # fmt: skip

    def _number(self, exec_id: str) -> int:
        number = self._numbers.get(exec_id)
        if number is None:
            number = self._numbers[exec_id] = self._next
            self._next += 1
        return number

    def _stub(self, boot: int, seen: int, exec_id: str) -> list[Any]:
        """Of a process of which nothing is known but its exec_id."""
        key, pid = self._keys[exec_id]
        row: list[Any] = [None] * _WIDTH
        row[:4] = self._number(exec_id), boot, key, None if pid is not None else exec_id
        row[_PID], row[_FLAGS], row[_SEEN] = pid, 0, seen
        return row

    def _named(self, boot: int, seen: int, exec_id: str, fresh: list[list[Any]]) -> int:
        """The number of a parent that nothing was told of before."""
        fresh.append(self._stub(boot, seen, exec_id))
        return int(fresh[-1][0])

    def _load_numbers(self, boot: int, exec_ids: set[str]) -> None:
        """Keys of all processes that a segment names, and the numbers of those that are here: most began
        after all that are."""
        self._numbers.clear()
        node = self._node
        self._keys = {exec_id: _key_and_pid(exec_id, node) for exec_id in exec_ids}
        highest = self._db.execute("SELECT coalesce(max(key), -1) FROM processes").fetchone()[0]
        named = {
            (key, exec_id if pid is None else None, pid): exec_id
            for exec_id, (key, pid) in self._keys.items()
            if key <= highest
        }
        for part in _parts([key for key, _, _ in named]):
            for number, key, exec_id, pid in self._db.execute(
                f"SELECT id, key, exec_id, pid FROM processes WHERE key IN ({','.join('?' * len(part))})"
                " AND boot=?",
                (*part, boot),
            ):
                name = named.get((key, exec_id, pid if exec_id is None else None))
                if name is not None:
                    self._numbers[name] = number

    def _load_words(self, texts: set[str]) -> None:
        """Numbers of all texts; those that are not here yet are added."""
        if len(self._words) >= _KNOWN_MOST:
            self._words.clear()
        texts -= self._words.keys()
        for part in _parts(list(texts)):
            marks = ",".join("?" * len(part))
            self._words.update(self._db.execute(f"SELECT text, id FROM words WHERE text IN ({marks})", part))
        begin = self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM words").fetchone()[0]
        added = list(enumerate(sorted(texts - self._words.keys()), begin))
        self._db.executemany("INSERT INTO words(id, text) VALUES(?,?)", added)
        self._words.update((text, number) for number, text in added)


def _parts(values: list[Any]) -> Iterator[list[Any]]:
    """As many at a time as go into one `IN (…)`."""
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


_COLUMNS = (
    "id", "boot", "key", "exec_id", "parent", "pid", "uid", "binary", "args", "cwd", "user", "container",
    "namespace", "pod", "start_ns", "end_ns", "status", "signal", "flags", "first_sequence", "last_sequence",
    "seen",
)  # fmt: skip
_WIDTH = len(_COLUMNS)
_PLACE = {name: place for place, name in enumerate(_COLUMNS)}
_PARENT, _PID, _FLAGS, _SEEN = (_PLACE[name] for name in ("parent", "pid", "flags", "seen"))
_WORDS_FROM = _PLACE["binary"]
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


def _merge(row: list[Any], life: Life, words: Mapping[str, int]) -> None:
    """Later facts fill what earlier ones left open; the exec knows best who it was."""
    if life.end_ns:
        row[_END], row[_PLACE["status"]], row[_PLACE["signal"]] = (
            life.end_ns,
            life.status,
            life.signal or None,
        )
        row[_LAST] = life.last_sequence or life.sequence
    if row[_FLAGS] & RECORDED or not life.pid:
        row[_PARENT] = row[_PARENT] or life.parent_exec_id or None
        return
    row[_PARENT] = life.parent_exec_id or row[_PARENT]
    row[_PID] = life.pid
    row[_UID] = life.uid if life.uid is not None else row[_UID]
    for place, text in enumerate(life[4:11], _WORDS_FROM):
        if text:
            row[place] = words[text]
    row[_START] = life.start_ns or row[_START]
    if life.recorded:
        row[_FLAGS] |= RECORDED | life.replaces * REPLACES
        row[_FIRST] = life.sequence
