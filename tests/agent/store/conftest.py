# SPDX-License-Identifier: Apache-2.0
"""A small log with a store."""

from pathlib import Path

import pytest

from tests.agent.cli.conftest import LogMaker
from tests.agent.store.support import compact_all, session


@pytest.fixture
def lines(tmp_path: Path) -> LogMaker:
    """Without a store."""
    return session(tmp_path / "log")


@pytest.fixture
def stored(tmp_path: Path) -> LogMaker:
    """The first segment is compacted, the second one is open."""
    log = session(tmp_path / "log")
    compact_all(log.directory)
    return log
