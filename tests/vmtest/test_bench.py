# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
from pathlib import Path

from vmtest import bench

ALONE = [{"count": 10, "wall_ns": wall, "cpu_ns": wall} for wall in (1000, 1010, 5000)]
WITH = [{"count": 10, "wall_ns": 3000, "cpu_ns": 1200, "agent_ns": 1700}] * 3
RESULT = {
    "kernel": "6.12.0",
    "agent": "a",
    "alone": {"open+close": ALONE},
    "with_agent": {"open+close": WITH},
    "with_stopped": {"open+close": [{**sample, "agent_ns": 0, "wall_ns": 1120} for sample in ALONE]},
    "alone_after": {"open+close": ALONE},
    "program_time": {"open+close": {"ns": 12.0, "runs": 1.0}},
    "events": {
        "operations": 5,
        "events": 10,
        "agent_ns_per_event": 1234,
        "bytes_per_event": 500,
        "bytes_per_exec": 777,
        "lost": 1,
        "reported_lost": 0,
    },
    "start": {"first_event_ns": 7, "cpu_ns": 6},
    "idle_ns_per_s": 0,
    "memory_idle": {"pss_kb": 1024, "peak_rss_kb": 2048},
    "memory_after": {"pss_kb": 1024, "peak_rss_kb": 2048},
    "maps": {"count": 2, "bytes": 4096},
    "programs": {"count": 3, "bytes": 8192},
    "complaints": ["BUG: x"],
}


def test_the_agents_own_time_is_taken_off() -> None:
    assert bench.per_operation(WITH, "system") == 130


def test_one_slow_run_does_not_move_the_median() -> None:
    assert bench.per_operation(ALONE, "wall_ns") == 101


def test_the_table_shows_what_was_added_lost_and_complained_about() -> None:
    text = "\n".join(bench.report(RESULT))
    assert "101" in text
    assert "+29" in text
    assert "+11" in text
    assert "1 / 0" in text
    assert "500 / 777" in text
    assert "the kernel says: BUG: x" in text


def test_the_load_does_what_it_says(tmp_path: Path) -> None:
    bench.build_load(tmp_path)
    for arguments in (["exec", "3", str(tmp_path / "tiny")], ["open", "4", __file__], ["getppid", "5"]):
        done = subprocess.run([tmp_path / "load", *arguments], text=True, capture_output=True, check=True)
        told = json.loads(done.stdout)
        assert (told["operation"], told["count"]) == (arguments[0], int(arguments[1]))
        assert told["wall_ns"] > 0


def test_a_load_that_cannot_run_is_an_error(tmp_path: Path) -> None:
    bench.build_load(tmp_path)
    for arguments in (["exec", "1", "/nonexistent"], ["open", "1", "/nonexistent"], ["nothing", "1"]):
        assert (
            subprocess.run([tmp_path / "load", *arguments], capture_output=True, check=False).returncode != 0
        )


def test_policies_are_compared_with_the_load_alone() -> None:
    case = {"cost": 7900.0, "memory": 75 << 10, "verified": 93733, "load_ns": 5, "hooks": ["fentry f"]}
    agent = {"operations": 9, "events": 8, "reported_lost": 1, "agent_ns_per_event": 61000}
    found = {"kernel": "6.12", "alone": 7000.0, "alone_after": 7007.0, "cases": {"one": case}, "agent": agent}
    text = "\n".join(bench.report({"policies": found, "complaints": []}))
    assert "+900" in text and "fentry f" in text and "+0.1%" in text
    assert "9 matching opens: 8 events, 1 lost" in text


def test_policies_for_pods_are_shown_in_a_pod_and_outside() -> None:
    case = {"in_pod": 7_100.4, "on_host": 7_000.2, "update_ns": 1_234_567, "load_ns": 89}
    found = {"kernel": "6.12", "cases": {"254 policies, 500 pods": case}, "complaints": []}
    text = "\n".join(bench.report({"pods": found, "complaints": []}))
    assert text.splitlines()[-1].split()[-4:] == ["7,100", "7,000", "1,234,567", "89"]
