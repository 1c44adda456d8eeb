# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.detect.aliases import aliases_of, pairs_in
from agent.store.layout import sources
from tests.agent.cli.conftest import LogMaker
from tests.agent.store.support import compact_all


@pytest.mark.parametrize("is_compacted", [False, True])
def test_what_paths_led_to_is_found_in_both_forms(tmp_path: Path, is_compacted: bool) -> None:
    log = LogMaker(tmp_path / "log")
    init = log.exec(1, "/sbin/init", at=1)
    log.exec(2, "/bin/sh", "-c", '"exe":"/no"', parent=init, at=2, own={"exe": "/usr/bin/dash"})
    log.exec(3, "/bin/sh", "x", parent=init, at=3, own={"exe": '/odd/"sh"\\'})
    log.segment(at=9)
    if is_compacted:
        compact_all(log.directory)
    found = aliases_of(pairs_in(log.directory, sources(log.directory)))
    assert found == {"/bin/sh": {"/usr/bin/dash", '/odd/"sh"\\'}}


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    log.exec(2, "/bin/sh", at=2, own={"exe": "/usr/bin/dash"})
    log.segment(at=9)
    compact_all(log.directory)
    next((log.directory / "store").glob("*.parquet")).write_bytes(b"PAR1 no")
    assert aliases_of(pairs_in(log.directory, sources(log.directory))) == {}
