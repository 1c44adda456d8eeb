# SPDX-License-Identifier: Apache-2.0
import base64
from pathlib import Path

import pytest

from agent.store.index import IndexWriter, SegmentFacts, exec_id_of, key_of
from agent.store.lineage import Lineage
from agent.store.lives import Life

FACTS = SegmentFacts("1767225600000-000000000001.jsonl", "boot", "n", 1, 1, 1, 1, 2, "")


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return tmp_path


def add(log_dir: Path, *lives: Life, facts: SegmentFacts = FACTS) -> Lineage:
    index = IndexWriter(log_dir / "store" / "lineage.sqlite")
    index.add(facts, lives, [])
    index.close()
    return Lineage(log_dir)


def test_an_exec_id_is_kept_as_the_number_in_it() -> None:
    exec_id = base64.b64encode(b"n:123:7").decode()
    assert key_of(exec_id, "n") == (123, True)
    assert exec_id_of("n", 123, 7) == exec_id


@pytest.mark.parametrize("exec_id", ["x", base64.b64encode(b"other:1:2").decode(), "ü", "bjowMTI6Nw=="])
def test_other_exec_ids_are_found_as_well(log_dir: Path, exec_id: str) -> None:
    assert not key_of(exec_id, "n")[1]
    row = add(log_dir, Life(exec_id, pid=3, recorded=True)).by_exec_id(exec_id)
    assert row is not None and row.process.pid == 3


def test_a_segment_that_comes_twice_changes_nothing(log_dir: Path) -> None:
    add(log_dir, Life("a", pid=1, recorded=True))
    lineage = add(log_dir, Life("a", pid=1, recorded=True), Life("b", pid=1, recorded=True))
    assert [row.process.exec_id for row in lineage.by_pid(1)] == ["a"]


def test_an_exit_in_a_later_segment_ends_the_process(log_dir: Path) -> None:
    add(log_dir, Life("a", pid=1, start_ns=5, recorded=True, sequence=1))
    later = FACTS._replace(name="1767225600001-000000000002.jsonl")
    row = add(log_dir, Life("a", end_ns=9, signal="SIGKILL", sequence=8), facts=later).by_exec_id("a")
    assert row is not None
    assert (row.process.start_ns, row.process.end_ns, row.process.signal) == (5, 9, "SIGKILL")
    assert (row.first_sequence, row.last_sequence) == (1, 8)


def test_a_boot_has_processes_of_its_own(log_dir: Path) -> None:
    add(log_dir, Life("a", pid=1, binary="/old", recorded=True))
    later = FACTS._replace(name="1767225600001-000000000001.jsonl", boot_id="next")
    lineage = add(log_dir, Life("a", pid=1, binary="/new", recorded=True), facts=later)
    assert [row.process.binary for row in lineage.by_pid(1)] == ["/old", "/new"]


def test_hostile_texts_are_texts(log_dir: Path) -> None:
    nasty = "'; DROP TABLE processes; --"
    lineage = add(log_dir, Life(nasty, pid=1, binary=nasty, container=nasty, recorded=True))
    assert [row.process.binary for row in lineage.by_word("container", [nasty])] == [nasty]


def test_another_version_is_begun_anew(log_dir: Path) -> None:
    import sqlite3

    add(log_dir, Life("a", pid=1))
    with sqlite3.connect(log_dir / "store" / "lineage.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    assert add(log_dir, Life("b", pid=2)).by_exec_id("a") is None


def test_expired_segments_are_forgotten(log_dir: Path) -> None:
    add(log_dir, Life("a", pid=1, start_ns=1, end_ns=2)).close()
    later = FACTS._replace(name="1767225600001-000000000002.jsonl", first_ns=10, last_ns=20)
    add(log_dir, Life("b", pid=2), facts=later).close()
    index = IndexWriter(log_dir / "store" / "lineage.sqlite")
    index.remove([FACTS.name])
    assert index.segments() == [later.name]
    index.close()
    assert Lineage(log_dir).by_exec_id("a") is None
