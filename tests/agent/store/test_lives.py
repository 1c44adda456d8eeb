# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.store.lives import lives_in, note_in

PROCESS: dict[str, Any] = {"exec_id": "e2", "pid": 2, "binary": "/b", "parent_exec_id": "e1"}
PARENT: dict[str, Any] = {"exec_id": "e1", "pid": 2}
TIME = "2026-01-01T00:00:00Z"


def test_an_exec_tells_of_the_parent_first() -> None:
    event = {"process": PROCESS, "parent": PARENT}
    parent, process = lives_in({"process_exec": event, "time": TIME, "tracehound": {"sequence": 4}})
    assert (parent.exec_id, parent.recorded) == ("e1", False)
    assert (process.recorded, process.replaces, process.sequence) == (True, True, 4)


def test_an_exit_tells_when_and_how() -> None:
    (life,) = lives_in({"process_exit": {"process": PROCESS, "signal": "SIGKILL"}, "time": TIME})
    assert (life.end_ns, life.signal) == (1767225600 * 10**9, "SIGKILL")


@pytest.mark.parametrize(
    "record", [{}, {"process_exec": 1}, {"process_exec": {"process": {}}}, {"tracehound": {"fork": []}}]
)
def test_malformed_records_tell_nothing(record: dict[str, Any]) -> None:
    assert list(lives_in(record)) == []


def test_own_records_about_the_log_are_notes() -> None:
    assert note_in({"tracehound": {"sequence": 1, "loss": {"count": 2}}}) == ("loss", {"count": 2})
    assert note_in({"tracehound": {"sequence": 1, "heartbeat": {}}}) is None
