# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.index import IndexWriter
from agent.store.rights import give_like
from tests.agent.store.support import compact_all, session


@pytest.fixture
def strict() -> Iterator[None]:
    """A umask that leaves the owner's rights alone."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict")
def test_the_index_is_for_the_group_whatever_the_umask(tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    compact_all(log.directory)
    index = IndexWriter(log.directory / "store" / "lineage.sqlite")
    modes = {path.name: path.stat().st_mode & 0o777 for path in log.directory.glob("store/lineage*")}
    index.close()
    assert modes == dict.fromkeys(("lineage.sqlite", "lineage.sqlite-wal", "lineage.sqlite-shm"), 0o640)


def test_an_index_that_everybody_could_read_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "store" / "lineage.sqlite"
    IndexWriter(path).close()
    path.chmod(0o644)
    IndexWriter(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_has_the_mode_of_the_one_that_it_stands_for(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, mode in ((one, 0o640), (other, 0o600)):
        path.touch()
        path.chmod(mode)
    give_like(one, other)
    assert other.stat().st_mode & 0o777 == 0o640
