# SPDX-License-Identifier: Apache-2.0
from agent.store.queries import Store, executions, find, tree
from agent.store.reindex import reindex
from tests.agent.cli.conftest import LogMaker


def test_a_new_index_answers_as_the_old_one(stored: LogMaker) -> None:
    store = Store(stored.directory)
    (before,) = find(store, pid=50)
    (stored.directory / "store" / "lineage.sqlite").write_bytes(b"damaged")
    assert reindex(stored.directory) == (1, [])
    found = tree(store, before)
    assert [process.pid for _, process, _ in found.walk()] == [50, 51, 52]
    assert executions(store, "curl").completeness.notes == ()


def test_what_cannot_be_read_is_named(stored: LogMaker) -> None:
    (path,) = (stored.directory / "store").glob("*.parquet")
    path.write_bytes(b"x")
    count, (problem,) = reindex(stored.directory)
    assert count == 0
    assert problem.startswith(path.stem)
