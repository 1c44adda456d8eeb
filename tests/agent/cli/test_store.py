# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from agent.log.lock import DirectoryLock
from agent.store.alone import alone
from tests.agent.cli.conftest import Call
from tests.agent.store.support import compact_all, session


def test_the_state_of_a_store(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    compact_all(tmp_path)
    facts = json.loads(call("store", "status", "--log-dir", tmp_path, "-o", "json")[1])
    assert (facts["compacted_segments"], facts["segments_of_lines"], facts["indexed_segments"]) == (1, 1, 1)


def test_a_damaged_index_is_told_and_made_anew(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    compact_all(tmp_path)
    (tmp_path / "store" / "lineage.sqlite").write_bytes(b"damaged")
    status, _, err = call("store", "status", "--log-dir", tmp_path)
    assert status == 1 and "reindex" in err
    assert call("store", "reindex", "--log-dir", tmp_path)[0] == 0
    assert call("store", "status", "--log-dir", tmp_path)[0] == 0


def test_compaction_is_refused_while_an_agent_runs(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    lock = DirectoryLock(tmp_path)
    lock.take()
    assert call("store", "compact", "--log-dir", tmp_path)[0] == 6
    lock.close()


def test_segments_are_not_compacted_by_two(call: Call, tmp_path: Path) -> None:
    session(tmp_path)
    with alone(tmp_path):
        status, _, err = call("store", "compact", "--log-dir", tmp_path)
    assert status == 6 and "try again" in err
