# SPDX-License-Identifier: Apache-2.0
import sqlite3
from pathlib import Path

import pytest

from agent.log.ledger import Ledger
from agent.log.manifest import Expired
from agent.log.segments import list_segments
from agent.store.expiry import forget_expired
from agent.store.layout import compacted_segments, index_path, parquet_path
from agent.store.reindex import reindex
from tests.agent.cli.conftest import LogMaker
from tests.agent.store.support import compact_all, session

SECRET = "--password=hunter2"


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """Two compacted segments, a secret in the first, and an open one."""
    log = session(tmp_path / "log")
    root = log.exec(1, "/sbin/init", at=20)
    log.exec(60, "/usr/bin/mysql", SECRET, parent=root, at=21)
    log.segment(at=30)
    log.exec(61, "/bin/ls", parent=root, at=31)
    log.segment(at=40)
    compact_all(log.directory)
    return log.directory


def contents(log_dir: Path) -> set[tuple[object, ...]]:
    """All that the index says of processes, without its own numbers."""
    names = "binary", "args", "cwd", "user", "container", "namespace", "pod"
    words = ", ".join(f"(SELECT text FROM words WHERE id=p.{name})" for name in names)
    with sqlite3.connect(index_path(log_dir)) as db:
        found = set(
            db.execute(
                f"SELECT p.key, p.pid, q.key, {words}, p.start_ns, p.end_ns, p.flags, p.first_sequence,"
                " p.last_sequence, p.seen FROM processes p LEFT JOIN processes q ON q.id=p.parent"
            )
        )
    db.close()
    return found


def has_secret(log_dir: Path) -> bool:
    return any(SECRET.encode() in path.read_bytes() for path in index_path(log_dir).parent.glob("lineage*"))


def tombstone(log_dir: Path, name: str) -> None:
    ledger = Ledger(log_dir)
    ledger.open()
    ledger.note_expired([Expired(name, "age", "", 1, 9, 100)], 0)


def test_what_was_removed_is_forgotten_and_what_is_left_is_as_built_anew(log_dir: Path) -> None:
    first, second = compacted_segments(log_dir)[:2]
    assert has_secret(log_dir)
    for name in (first, second):
        parquet_path(log_dir, name).unlink()
    assert forget_expired(log_dir) == [str(first), str(second)]
    left = contents(log_dir)
    assert not has_secret(log_dir) and left
    assert reindex(log_dir) == (1, [])
    assert contents(log_dir) == left


def test_a_new_index_leaves_out_what_has_a_tombstone_and_is_not_removed_yet(log_dir: Path) -> None:
    for name in compacted_segments(log_dir)[:2]:
        tombstone(log_dir, str(name))
    assert reindex(log_dir) == (1, []) and not has_secret(log_dir)


def test_a_log_that_lost_nothing_keeps_its_index_as_it_is(log_dir: Path) -> None:
    before = index_path(log_dir).read_bytes()
    assert forget_expired(log_dir) == []
    assert index_path(log_dir).read_bytes() == before


def test_a_segment_whose_lines_are_still_there_is_not_forgotten(lines: LogMaker) -> None:
    compact_all(lines.directory, remove=False)
    for name in compacted_segments(lines.directory):
        parquet_path(lines.directory, name).unlink()
    assert forget_expired(lines.directory) == [] and list_segments(lines.directory)


def test_no_index_is_made(lines: LogMaker) -> None:
    assert forget_expired(lines.directory) == [] and not index_path(lines.directory).exists()


def test_a_damaged_index_that_was_set_aside_goes_as_well(log_dir: Path) -> None:
    aside = index_path(log_dir).with_name("lineage.sqlite.damaged")
    aside.write_bytes(b"x")
    parquet_path(log_dir, compacted_segments(log_dir)[0]).unlink()
    forget_expired(log_dir)
    assert not aside.exists()
