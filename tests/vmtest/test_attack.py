# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from vmtest import attack
from vmtest.attackjudge import Verdict

FOUND = Verdict("cron-persistence", "plain", True, True, ("Cron Table Written",), ("id",), ())
MISSED = Verdict("cron-persistence", "other", False, False, (), (), ("Something Else",))


def left(place: Path, played: list[object]) -> Path:
    """What a run leaves, with an empty log."""
    (place / "log").mkdir()
    (place / "log" / "1-1.jsonl").write_text("")
    (place / "played.json").write_text(json.dumps(played))
    return place


def test_the_sum_says_what_was_found() -> None:
    lines = attack.report([FOUND, MISSED])
    assert lines[-2:] == [
        "tuned: 1 attacks, 0 detected in all variants, 1 in one or more",
        "tuned: 2 variants, 1 with the right technique and program, 1 with the right tree",
    ]


def test_held_out_attacks_are_summed_by_themselves() -> None:
    held_out = FOUND._replace(attack="heldout/cron-persistence", variant="daily")
    lines = attack.report([MISSED, held_out])
    assert any(line.startswith("tuned: 1 variants, 0 with") for line in lines)
    assert any(line.startswith("heldout: 1 variants, 1 with") for line in lines)


def test_variants_that_have_a_kind_are_summed_by_it() -> None:
    held_out = FOUND._replace(attack="heldout3/cron-job", variant="cron-d")
    missed = MISSED._replace(attack="heldout3/cron-job", variant="crontab-from-input")
    lines = attack.report([held_out, missed])
    assert lines[-1] == "heldout3, common: 2 variants, 1 right (50 %)"


def test_a_variant_that_checks_itself_and_did_nothing_is_told() -> None:
    failed = {"attack": "heldout3/cron-job", "variant": "cron-d", "status": 1}
    assert attack.idle([failed]) == ["did nothing: heldout3/cron-job cron-d, exit status 1"]
    assert attack.idle([{**failed, "status": 0}]) == []
    assert attack.idle([{"attack": "cron-persistence", "variant": "plain", "status": 1}]) == []


def test_without_an_agent_it_is_told_which_scripts_did_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = {"attack": "heldout3/cron-job", "variant": "cron-d", "status": 1, "output": "no such file\n"}
    assert attack.main(["--without-agent", "--log", str(left(tmp_path, [one, {**one, "status": 0}]))]) == 1
    told = capsys.readouterr().out
    assert "exit status 1\nno such file\n2 variants played, 1 of those" in told


def test_of_a_held_out_attack_those_techniques_are_told_that_were_named() -> None:
    assert attack.told(FOUND) == ["T1053.003"]
    held_out = FOUND._replace(attack="heldout/upload", techniques=("T1041",))
    assert attack.told(held_out) == ["T1048", "T1041"]


@pytest.mark.parametrize(
    ("flags", "suites"),
    [
        ([], ["tuned"]),
        (["--suite", "heldout"], ["heldout"]),
        (["--suite", "heldout2"], ["heldout2"]),
        (["--suite", "all"], ["tuned", "heldout", "heldout2", "heldout3", "heldout4"]),
        (["heldout/upload"], ["tuned", "heldout", "heldout2", "heldout3", "heldout4"]),
    ],
)
def test_the_tuned_attacks_are_played_unless_others_are_asked_for(
    flags: list[str], suites: list[str]
) -> None:
    assert attack.suites(attack.parser().parse_args(flags)) == suites


def test_a_row_says_what_fired_in_place_of_the_right_rule() -> None:
    rows = attack.report([FOUND, MISSED])[1:3]
    assert "Cron Table Written" in rows[0]
    assert "NO" in rows[1]
    assert "only: Something Else" in rows[1]


def test_an_attack_that_nothing_found_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played = {"attack": "cron-persistence", "variant": "plain", "pid": 1, "began_ns": 0}
    assert attack.main(["--log", str(left(tmp_path, [played]))]) == 1
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["attacks"][0]["found"] is False
    assert "0 with the right technique" in capsys.readouterr().out


def test_a_workload_without_detections_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = [{"task": "build", "times": 3, "statuses": [0], "ended_ns": 10**19}]
    assert attack.main(["--log", str(left(tmp_path, done))]) == 0
    assert "0 detections, 0 of level high or above" in capsys.readouterr().out


def test_a_workload_with_a_high_one_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"time": "2026-01-01T00:00:01Z"}
    found = [{"level": "high", "rule": {"title": "T"}, "process": {"binary": "/bin/x"}, "event": event}]
    done = {"task": "build", "times": 3, "statuses": [0], "ended_ns": 10**19}
    assert attack.tell_benign([done], found) == 1
    assert "T: /bin/x" in capsys.readouterr().out
    assert attack.tell_benign([{**done, "ended_ns": 0}], found) == 0


def test_records_are_read_in_order_of_the_segments(tmp_path: Path) -> None:
    for name, number in (("2-2", 2), ("1-1", 1)):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"n": number}) + "\n")
    (tmp_path / "manifest.jsonl").write_text("{}\n")
    assert [record["n"] for record in attack.read_log(tmp_path)] == [1, 2]
