# SPDX-License-Identifier: Apache-2.0
from agent.log.filters.view import pid_of, view
from tests.agent.api.support import exec_id, process


def test_an_event_is_seen_with_its_parts() -> None:
    record = {
        "process_exec": {"process": process(5), "parent": process(4)},
        "tracehound": {"sequence": 1, "ancestry": [exec_id(4), exec_id(3), exec_id(1)]},
    }
    seen = view(record)
    assert seen is not None
    assert (seen.type, seen.process["pid"], seen.pod, list(seen.ancestors)) == ("process_exec", 5, None, [])
    assert seen.family_pids() == {5, 4, 3, 1}


def test_ancestors_may_stand_in_the_record_or_in_the_expanded_form() -> None:
    seen = view({"process_exit": {"process": process(5), "ancestors": [process(3), process(2)]}})
    assert seen is not None
    assert {2, 3, 5} <= seen.family_pids()
    assert not seen.has_family


def test_own_records_and_damaged_ones_are_not_seen() -> None:
    assert view({"tracehound": {"sequence": 1, "heartbeat": {}}}) is None
    assert view({"process_exec": 7}) is None


def test_an_event_without_a_process_can_be_looked_at() -> None:
    seen = view({"process_throttle": {"type": "THROTTLE_START"}})
    assert seen is not None
    assert seen.family_pids() == {0}


def test_the_pid_stands_at_the_end_of_an_exec_id() -> None:
    assert pid_of(exec_id(77, node="a:b")) == 77
    assert pid_of("???") == 0
    assert pid_of("") == 0
