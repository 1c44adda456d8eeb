# SPDX-License-Identifier: Apache-2.0
"""An index of two segments, the first of which goes."""

from pathlib import Path

import pytest

from agent.store.index import IndexWriter, SegmentFacts
from agent.store.lineage import Lineage, Row
from agent.store.lives import Life

OLD = SegmentFacts("1767225600000-000000000001.jsonl", "boot", "n", 1, 1, 1, 1, 2, "")
NEW = OLD._replace(name="1767225600001-000000000002.jsonl", first_sequence=2, last_sequence=2)


def life(exec_id: str, secret: str = "", parent: str = "") -> Life:
    return Life(exec_id, parent, 1, 0, "/bin/x", secret, start_ns=1, recorded=True, sequence=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "lineage.sqlite"


def forgotten(path: Path, old: list[Life], new: list[Life]) -> Lineage:
    """What is left when the older segment expired."""
    index = IndexWriter(path)
    index.add(OLD, old, [(1, 1, "loss", {"cause": "old note"})])
    index.add(NEW, new, [(2, 2, "loss", {"cause": "new note"})])
    index.remove([OLD.name])
    index.close()
    return Lineage(path.parents[1])


def row(lineage: Lineage, exec_id: str) -> Row:
    found = lineage.by_exec_id(exec_id)
    assert found is not None
    return found


def test_a_process_that_no_other_segment_speaks_of_is_gone_with_its_words(path: Path) -> None:
    lineage = forgotten(path, [life("a", "password=hunter2")], [life("b", "ls")])
    assert lineage.by_exec_id("a") is None
    assert row(lineage, "b").process.arguments == "ls"
    assert lineage.words("text GLOB ?", "*hunter2*") == []


def test_nothing_of_it_stays_in_the_file(path: Path) -> None:
    forgotten(path, [life("a", "password=hunter2")], [life("b")]).close()
    assert b"hunter2" not in b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert b"old note" not in path.read_bytes() and b"new note" in path.read_bytes()


def test_a_process_that_a_later_segment_speaks_of_stays_whole(path: Path) -> None:
    lineage = forgotten(path, [life("a", "--serve")], [Life("a", pid=1, end_ns=9, sequence=2)])
    assert (row(lineage, "a").process.arguments, row(lineage, "a").process.end_ns) == ("--serve", 9)


def test_its_exec_record_is_not_said_to_be_there(path: Path) -> None:
    exec_record = life("a", "--serve")._replace(user="root")
    process = row(forgotten(path, [exec_record], [Life("a", pid=1, binary="/bin/x")]), "a")
    assert (process.first_sequence, process.process.user) == (0, "")


def test_of_a_parent_that_is_only_named_the_name_stays(path: Path) -> None:
    lineage = forgotten(path, [life("g"), life("a", "hunter2", "g")], [life("b", parent="a")])
    parent = row(lineage, "a")
    assert row(lineage, "b").parent == parent.id
    assert (parent.process.binary, parent.process.arguments, parent.parent) == ("", "", None)
    assert lineage.by_exec_id("g") is None


def test_a_word_that_somebody_else_uses_stays(path: Path) -> None:
    lineage = forgotten(path, [life("a", "same")], [life("b", "same")])
    assert row(lineage, "b").process.arguments == "same"


def test_a_forgotten_process_can_come_back(path: Path) -> None:
    forgotten(path, [life("a", "--old")], [life("b", parent="a")]).close()
    index = IndexWriter(path)
    index.add(NEW._replace(name="1767225600002-000000000003.jsonl"), [life("a", "--new")], [])
    index.close()
    lineage = Lineage(path.parents[1])
    assert row(lineage, "a").process.arguments == "--new" and row(lineage, "b").parent == row(lineage, "a").id
