# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from agent.store.index import IndexWriter
from agent.store.lineage import IndexUnusable, Lineage, consistent
from tests.agent.cli.conftest import LogMaker
from tests.agent.store.support import compact_all, session

ASK = """
import os, sys
from pathlib import Path
from agent.store.lineage import consistent
os.setgroups([int(gid) for gid in sys.argv[2:]]); os.setgid(65534); os.setuid(65534)
print(consistent(Path(sys.argv[1]), lambda lineage: len(lineage.by_pid(50))))
"""


GROUP = 54321
"""Stands for the group `tracehound`; nobody else is in it."""


def readable_for(directory: Path, gid: int) -> None:
    """The rights that the agent's log directory has (docs/event-log.md)."""
    for path, mode in ((directory, 0o750), *((file, 0o640) for file in directory.iterdir())):
        os.chown(path, -1, gid)
        path.chmod(mode)


def test_without_an_index_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(IndexUnusable, match="there is no index"):
        consistent(tmp_path, lambda lineage: None)


def test_a_damaged_index_is_unusable(stored: LogMaker) -> None:
    path = stored.directory / "store" / "lineage.sqlite"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(IndexUnusable, match="reindex"):
        consistent(stored.directory, lambda lineage: lineage.by_pid(1))


@pytest.mark.root
def test_who_may_only_read_reads_also_while_it_is_written() -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        log = session(Path(name) / "log")
        readable_for(log.directory, GROUP)
        compact_all(log.directory)
        command = [sys.executable, "-c", ASK, str(log.directory), str(GROUP)]
        assert subprocess.run(command[:-1], capture_output=True).returncode != 0, "not a member"
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"1\n"
        index = IndexWriter(log.directory / "store" / "lineage.sqlite")
        index._db.execute("BEGIN IMMEDIATE")
        index._db.execute("DELETE FROM notes")
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"1\n"
        index._db.execute("ROLLBACK")
        index.close()


def test_a_reader_does_not_keep_the_compactor_waiting(stored: LogMaker) -> None:
    reader = Lineage(stored.directory)
    reader._db.execute("BEGIN")
    assert reader.by_pid(50)
    stored.segment(at=20)
    assert len(compact_all(stored.directory)) == 1
    reader.close()
