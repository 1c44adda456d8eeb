# SPDX-License-Identifier: Apache-2.0
import base64
import json
from typing import Any

from agent.store.answers import Timeline, Tree
from agent.store.report.data import page_data
from agent.store.report.records import unpacked
from tests.agent.store.report.invented import (
    FACTS,
    START_NS,
    completeness,
    incident,
    process,
    started,
    timeline,
)


def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def data(of: Timeline) -> dict[str, Any]:
    return dict(json.loads(json.dumps(page_data(of, FACTS))))


def test_processes_name_the_one_above_them_by_its_place() -> None:
    told = rows(data(incident())["processes"])
    lines = [(one["pid"], told[one["parent"]]["pid"] if one["parent"] >= 0 else None) for one in told]
    assert lines == [(1, None), (812, 1), (4711, 812), (4712, 4711), (4713, 4711), (4714, 4713), (4715, 4714)]


def test_times_are_differences_that_give_the_exact_nanosecond_back() -> None:
    told = data(incident())
    [cat] = [one for one in rows(told["processes"]) if one["pid"] == 4715]
    assert int(told["base"]) == START_NS
    assert cat["start"] == 8_040_000_000 and cat["end"] == 8_061_000_000 and cat["replaced"] is None


def test_every_happening_has_its_process_and_its_record() -> None:
    of = incident()
    told = data(of)
    processes = rows(told["processes"])
    names = [
        processes[one["process"]]["exec_id"] if one["process"] >= 0 else ""
        for one in rows(told["happenings"])
    ]
    assert names == [one.exec_id for one in of.happenings]
    assert [one for block in told["records"] for one in unpacked(block)] == [
        one.record for one in of.happenings
    ]


def test_nobody_stands_above_one_that_comes_before() -> None:
    """Of an answer in which an exec_id stands twice, once below itself."""
    root, child = process(7, "/bin/x", 0), process(8, "/bin/y", 1)
    root.children, child.children = [child], [process(7, "/bin/x", 0)]
    told = rows(data(timeline(Tree(root, [process(8, "/bin/y", 1)], completeness()), []))["processes"])
    assert all(one["parent"] < number for number, one in enumerate(told))


def test_a_stand_in_for_several_roots_is_above_them() -> None:
    above = process(0, "pod a/b", 0)
    above.exec_id, above.children = "", [process(7, "/bin/x", 0), process(8, "/bin/y", 1)]
    told = rows(data(timeline(Tree(above, [], completeness()), []))["processes"])
    assert [one["parent"] for one in told] == [-1, 0, 0]


def test_losses_are_periods_of_the_timeline() -> None:
    assert data(incident())["losses"] == [[12_000_000_000, 12_600_000_000, "ring_full"]]


def test_a_row_of_a_summary_names_its_processes_most_active_first() -> None:
    [row] = [one for one in data(incident())["findings"] if one["key"] == "network-connects"]
    told = rows(data(incident())["processes"])
    assert [told[index]["pid"] for index in row["processes"]] == [4713, 4712]
    assert (row["process_count"], row["count"]) == (2, 33)


def test_bytes_of_arguments_are_taken_from_the_exec() -> None:
    root = process(7, "/bin/x", 0, "\ufffd")
    raw = {"arguments": {"1": base64.b64encode(b"\xff").decode()}}
    of = timeline(Tree(root, [], completeness()), [started(root, 1, arguments=["x", "\ufffd"], raw=raw)])
    assert rows(data(of)["processes"])[0]["arguments"] == "\udcff"


def test_a_process_does_not_outlive_its_machine() -> None:
    root = process(7, "/bin/x", 0)
    of = timeline(Tree(root, [process(1, "", -5)], completeness(reboots=[START_NS + 10**9])), [])
    assert [one["state"] for one in rows(data(of)["processes"])] == ["restarted", "restarted"]
    assert [one["state"] for one in rows(data(incident())["processes"])][2:4] == ["running", "exited"]


def test_a_tree_of_which_no_time_is_known_begins_with_the_log() -> None:
    root = process(7, "", 0)
    root.start_ns = 0
    told = completeness()
    assert data(Timeline(Tree(root, [], told), []))["base"] == str(told.from_ns)
