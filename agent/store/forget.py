# SPDX-License-Identifier: Apache-2.0
"""Taking segments out of `lineage.sqlite`, with everything that is known from nowhere else.

`processes.seen` is the newest segment that speaks of a process, by when it was begun (milliseconds, the
first 13 digits of its name): who is not spoken of in any segment that is left goes. The index is then what
one built anew from the rest would be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

_WORDS = ("binary", "args", "cwd", "user", "container", "namespace", "pod")
_FACTS = (
    *_WORDS,
    "parent",
    "uid",
    "start_ns",
    "end_ns",
    "status",
    "signal",
    "first_sequence",
    "last_sequence",
)
_PARENTS = "SELECT parent FROM processes WHERE parent IS NOT NULL AND id NOT IN doomed"
_EXEC_GONE = "p.first_sequence < (SELECT first FROM oldest o WHERE o.boot=p.boot)"
_STATEMENTS = (
    "CREATE TEMP TABLE doomed(id INTEGER PRIMARY KEY)",
    "INSERT INTO doomed SELECT id FROM processes"
    " WHERE seen NOT IN (SELECT CAST(substr(name, 1, 13) AS INTEGER) FROM segments)",
    "CREATE TEMP TABLE spare(id INTEGER PRIMARY KEY)",
    *(
        f"INSERT OR IGNORE INTO spare SELECT {word} FROM processes WHERE {word} IS NOT NULL AND id IN doomed"
        for word in _WORDS
    ),
    "CREATE TEMP TABLE oldest AS SELECT boot, min(first_sequence) AS first FROM segments GROUP BY boot",
    f"INSERT OR IGNORE INTO spare SELECT user FROM processes p WHERE user IS NOT NULL AND {_EXEC_GONE}",
    f"UPDATE processes AS p SET flags=0, user=NULL, first_sequence=NULL WHERE {_EXEC_GONE}",
    f"DELETE FROM processes WHERE id IN doomed AND id NOT IN ({_PARENTS})",
    f"UPDATE processes SET flags=0, {', '.join(f'{fact}=NULL' for fact in _FACTS)} WHERE id IN doomed",
    *(
        f"DELETE FROM spare WHERE id IN (SELECT {word} FROM processes WHERE {word} IN spare)"
        for word in _WORDS
    ),
    "DELETE FROM words WHERE id IN spare",
    "DELETE FROM boots WHERE id NOT IN (SELECT boot FROM segments UNION SELECT boot FROM processes)",
    "DROP TABLE oldest",
    "DROP TABLE spare",
    "DROP TABLE doomed",
)
"""After the segments are gone. A parent that is named only keeps its exec_id and pid; of who lives on without
its exec record, what only that one says goes."""


def forget(db: sqlite3.Connection, segments: Iterable[str]) -> None:
    """In one transaction; what is deleted is overwritten (`PRAGMA secure_delete`). Raises sqlite3.Error."""
    db.execute("PRAGMA secure_delete=ON")
    db.execute("BEGIN IMMEDIATE")
    try:
        for name in segments:
            db.execute("DELETE FROM notes WHERE segment=(SELECT id FROM segments WHERE name=?)", (name,))
            db.execute("DELETE FROM segments WHERE name=?", (name,))
        for statement in _STATEMENTS:
            db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
