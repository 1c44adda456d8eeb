# SPDX-License-Identifier: Apache-2.0
from agent.store.report.groups import Groups


def test_what_has_a_key_in_common_is_one_row() -> None:
    groups = Groups()
    groups.add("a", 5, "p1", call="read")
    groups.add("a", 2, "p2", call=["write", "write", ""])
    [(key, row, words)] = groups.table("call", "absent")
    assert (key, row.count, row.first_ns, row.last_ns, row.processes) == ("a", 2, 2, 5, {"p1": 1, "p2": 1})
    assert words == {"call": "write, read", "absent": ""}


def test_the_most_frequent_come_first_and_then_the_earliest() -> None:
    groups = Groups()
    for key, time in (("late", 9), ("early", 1), ("often", 5), ("often", 6)):
        groups.add(key, time, "")
    assert [key for key, _, _ in groups.table()] == ["often", "early", "late"]
