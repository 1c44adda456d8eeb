# SPDX-License-Identifier: Apache-2.0
import os
import stat
from pathlib import Path

import pytest

from agent.errors import AlreadyRunning
from agent.store.alone import alone
from agent.store.compact import open_index
from agent.store.reindex import reindex
from tests.agent.cli.conftest import LogMaker


def test_one_after_the_other_may(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(AlreadyRunning, match="another compactor"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_the_index_is_not_built_anew_while_a_compactor_adds_to_it(stored: LogMaker) -> None:
    with alone(stored.directory), pytest.raises(AlreadyRunning):
        reindex(stored.directory)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_index_is_for_those_who_may_read_the_log(lines: LogMaker, umask: int) -> None:
    path = lines.directory / "store" / "lineage.sqlite"
    before = os.umask(umask)
    try:
        open_index(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.stat().st_gid == lines.directory.stat().st_gid
