# SPDX-License-Identifier: Apache-2.0
from typing import Any

from vmtest import attackjudge
from vmtest.attackjudge import Verdict

PLAYED = {"attack": "cron-persistence", "variant": "plain", "pid": 20, "began_ns": 1_767_225_600_000_000_000}
EARLIER, LATER = "2025-12-31T00:00:00Z", "2026-01-01T00:00:00.5Z"


def execution(exec_id: str, parent: str, pid: int, time: str = LATER) -> dict[str, Any]:
    """A record."""
    process = {"exec_id": exec_id, "parent_exec_id": parent, "pid": pid, "start_time": time}
    return {"process_exec": {"process": process}, "tracehound": {"sequence": 1}}


def hit(*ids: str, tag: str = "attack.t1053.003", last: int = 1) -> dict[str, Any]:
    """A detection whose process and ancestors have these exec_ids; the last one has this pid."""
    chain: list[dict[str, Any]] = [{"exec_id": one, "pid": 9, "binary": "/usr/bin/dash"} for one in ids]
    chain[-1]["pid"] = last
    return {
        "level": "high",
        "tags": [tag],
        "rule": {"id": "i", "title": "t"},
        "process": chain[0],
        "ancestors": chain[1:],
    }


RECORDS = [
    execution("init", "", 1, EARLIER),
    execution("old", "init", 20, EARLIER),
    execution("root", "init", 20),
    execution("child", "root", 21),
]


def judged(*hits: dict[str, Any]) -> Verdict:
    """The verdict on PLAYED."""
    return attackjudge.judge([PLAYED], RECORDS, hits)[0]


def test_a_detection_of_a_descendant_up_to_pid_1_is_right() -> None:
    assert judged(hit("child", "root", "init")).is_right


def test_the_first_process_itself_counts() -> None:
    assert judged(hit("root", "init")).is_right


def test_a_detection_of_somebody_else_with_the_same_pid_does_not_count() -> None:
    assert not judged(hit("old", "init")).is_found


def test_a_detection_of_a_program_that_does_not_do_it_does_not_count() -> None:
    by = {**PLAYED, "attack": "heldout/cron-persistence", "variant": "edited"}
    other, right = hit("child", "root", "init"), hit("child", "root", "init")
    other["process"]["binary"], right["process"]["binary"] = "/usr/bin/cat", "/usr/bin/sed"
    verdicts = [attackjudge.judge([by], RECORDS, [one])[0] for one in (other, right)]
    assert [one.is_found for one in verdicts] == [False, True]
    assert verdicts[0].others == ("t",)
    assert verdicts[1].techniques == ("T1053.003",)


def test_programs_are_named_by_their_file_or_by_their_path() -> None:
    assert attackjudge.does_it("/usr/bin/python3.11", ["python3*"])
    assert attackjudge.does_it("/tmp/.../a", ["*/.../*"])
    assert not attackjudge.does_it("/usr/bin/sed", ["ed"])


def test_another_technique_is_told_but_does_not_count() -> None:
    verdict = judged(hit("child", "root", "init", tag="attack.t1059"))
    assert not verdict.is_found
    assert verdict.others == ("t",)


def test_a_chain_that_leaves_one_out_is_no_right_tree() -> None:
    verdict = judged(hit("grandchild", "child", "root", "init"), hit("child", "init", "root", "init"))
    assert verdict.is_found
    assert attackjudge.is_whole(hit("child", "init"), dict(attackjudge.births(RECORDS))) is False


def test_a_chain_that_ends_early_is_no_right_tree() -> None:
    assert judged(hit("child", "root", last=9)).is_tree_right is False


def test_processes_that_only_forked_are_known() -> None:
    process = {"exec_id": "f", "parent_exec_id": "root", "pid": 22}
    assert dict(attackjudge.births([{"tracehound": {"fork": {"process": process}}}])) == {"f": "root"}


def test_detections_are_found_among_records() -> None:
    assert attackjudge.detections([*RECORDS, {"tracehound": {"detection": {"id": "x"}}}]) == [{"id": "x"}]


def test_only_high_and_critical_ones_are_loud() -> None:
    found = [{"level": level} for level in ("low", "medium", "high", "critical")]
    assert attackjudge.loud(found) == found[2:]


def test_a_time_of_the_log_is_exact_to_the_nanosecond() -> None:
    assert attackjudge.nanoseconds("2026-01-01T00:00:00.000000001Z") == 1_767_225_600_000_000_001
