# SPDX-License-Identifier: Apache-2.0
"""The worker as it runs: a real child process over a real log."""

import os
import random
import signal
import socket
import time
from pathlib import Path

import orjson
import pytest

from agent.detect.building import Built, Wanted, build
from agent.detect.worker import Worker
from tests.agent.detect.running import MINER, NETCAT, Running, write_rule

KILLS = int(os.environ.get("WORKER_KILLS", "5"))
"""How often the worker is killed; fifty times before a release."""


def test_what_a_rule_finds_stands_in_the_log(running: Running) -> None:
    running.exec("/bin/ls", 20)
    running.exec("/bin/nc")
    running.turn_until(running.is_through)
    [found] = running.records("detection")
    [story] = running.records("story")
    assert (found["rule"]["id"], found["process"]["binary"]) == (NETCAT, "/bin/nc")
    assert (story["id"], story["state"], story["root"]["binary"]) == (found["story"], "open", "/bin/bash")
    assert found["detected"] >= story["first"]


def test_rules_say_from_which_record_on_they_hold(running: Running) -> None:
    running.turn_until(running.is_through)
    [told] = running.records("rules")
    assert (told["loaded"], told["refused"], told["from_sequence"]) == (1, 0, "3")  # after segment and start


def test_processes_that_were_there_before_the_first_start_are_judged(running: Running) -> None:
    running.exec("/bin/nc")  # between the agent's start and the first look at its child
    running.turn_until(running.is_through)
    assert len(running.found()) == 1


def test_a_worker_that_is_killed_again_and_again_loses_and_doubles_nothing(running: Running) -> None:
    dice = random.Random(7)
    for _ in range(KILLS):
        until = running.count + dice.randrange(500, 4000)
        while running.count < until:
            running.exec("/bin/ls", 40)
            running.exec("/bin/nc", dice.randrange(2))
            running.turn(ahead_s=31)
        running.turn_until(lambda: running.detecting.state()["running"], ahead_s=31)
        os.kill(running.detecting.state()["pid"], signal.SIGKILL)
        running.turn_until(lambda: not running.detecting.state()["running"])
    running.turn_until(running.is_through, ahead_s=31)
    assert running.found() == running.expected() and len(running.notices) == KILLS


def test_an_agent_that_is_killed_loses_and_doubles_nothing(running: Running) -> None:
    for number in range(3):
        running.exec("/bin/nc", 3)
        running.exec("/bin/ls", 300)
        for _ in range(10 * number):
            running.turn()
        running.close(grace_s=0.0)
        running.open()
    running.turn_until(running.is_through)
    assert running.found() == running.expected() and len(set(running.found())) == 9


def test_an_agent_that_ends_in_order_lets_it_finish(running: Running) -> None:
    running.turn_until(running.is_through)
    running.exec("/bin/nc", 4)
    running.close()
    running.open()
    assert len(running.found()) == 4 and not running.notices


@pytest.mark.parametrize("content", [b"", b"garbage\n{}\n", b"\xff" * 100_000])
def test_a_damaged_place_costs_no_detection(running: Running, content: bytes) -> None:
    running.exec("/bin/nc", 3)
    running.turn_until(running.is_through)
    running.close()
    (running.directory / "detect" / "cursor").write_bytes(content)
    running.open()
    running.exec("/bin/nc", 2)
    running.turn_until(running.is_through)
    assert running.found() == running.expected() and len(set(running.found())) == 5
    assert len(running.detecting.state()["last_error"]) < 500


def test_a_place_in_another_log_is_none_in_this_one(running: Running) -> None:
    running.exec("/bin/nc", 3)
    running.turn_until(running.is_through)
    running.close()
    running.use_log(running.directory / "other")
    running.exec("/bin/nc", 2)
    running.turn_until(lambda: len(running.found()) == 2)
    assert not running.records("loss")


def test_a_log_that_was_moved_keeps_its_place(running: Running) -> None:
    running.turn_until(running.is_through)
    running.exec("/bin/nc")
    running.close(grace_s=0.0)
    running.log_dir.rename(running.directory / "moved")
    running.use_log(running.directory / "moved")
    running.turn_until(running.found)
    assert len(running.found()) == 1


def test_a_story_goes_on_after_a_restart(running: Running) -> None:
    running.exec("/bin/nc")
    running.turn_until(running.is_through)
    running.close()
    running.open()
    running.exec("/bin/nc")
    running.turn_until(running.is_through)
    assert len({found["story"] for found in running.records("detection")}) == 1
    assert [(story["state"], story["count"]) for story in running.records("story")] == [("open", 1)]
    running.close()
    running.open()
    assert [(story["state"], story["count"]) for story in running.records("story")][1:] == [("updated", 2)]


def test_new_rules_take_over_between_two_events(running: Running) -> None:
    running.turn_until(running.is_through)
    write_rule(running.rules, "/miner", MINER)
    running.detecting.reload(running.settings)
    while len(running.records("rules")) < 2:
        running.exec("/bin/nc")
        running.exec("/tmp/miner")
        running.turn()
    running.exec("/tmp/miner")
    running.turn_until(running.is_through)
    begin = int(running.records("rules")[-1]["from_sequence"])
    judged = {(found["rule"]["id"], int(found["sequence"])) for found in running.records("detection")}
    assert {sequence for rule, sequence in judged if rule == MINER} == executed(running, "/tmp/miner", begin)
    assert {sequence for rule, sequence in judged if rule == NETCAT} == executed(running, "/bin/nc", 0)


def test_rules_are_read_one_set_at_a_time_and_the_last_one_counts(running: Running, tmp_path: Path) -> None:
    here, there = socket.socketpair()
    built: list[tuple[str, ...]] = []

    def slowly(wanted: Wanted) -> Built:
        time.sleep(0.2)
        built.append(wanted.paths)
        if len(built) == 2:
            here.sendall(b'{"stop":2}\n{"mark":1}\n{"mark":2}\n')
        return build(wanted)

    worker = Worker(there, os.eventfd(0), running.log_dir, tmp_path / "state", slowly)
    for path in ("/a", "/b", "/c", str(running.rules)):
        asked = {"paths": [path], "library": False, "exceptions": [], "sync_seconds": 0}
        here.sendall(orjson.dumps({"configure": asked}) + b"\n")
    with here, there:
        assert worker.run() == 0 and built == [("/a",), (str(running.rules),)]


def executed(running: Running, binary: str, since: int) -> set[int]:
    """Sequence numbers of execs of a program."""
    from agent.log.reader import LogReader

    return {
        entry.sequence
        for entry in LogReader(running.log_dir).read(types=("process_exec",))
        if entry.record["process_exec"]["process"]["binary"] == binary and entry.sequence >= since
    }


def test_a_rule_with_a_mistake_is_told_and_the_others_run(running: Running) -> None:
    (running.rules / "bad.yml").write_text("title: [\n")
    running.exec("/bin/nc")
    running.turn_until(running.is_through)
    assert len(running.found()) == 1
    [problem] = [one for one in running.detecting.problems() if "behind the log" not in one]
    assert "1 rules cannot be used" in problem and "bad.yml" in problem


def test_a_flood_is_one_story_with_a_count(running: Running) -> None:
    for _ in range(60):
        running.exec("/bin/nc", 50)
        running.turn()
    running.turn_until(running.is_through)
    assert len(running.found()) <= 40  # twenty a minute; the flood may lie in two
    assert running.detecting.state()["hits"] == 3000
    assert len({story["id"] for story in running.records("story")}) == 1


def test_a_chain_of_processes_with_long_arguments_does_not_end_detections(running: Running) -> None:
    running.exec_chain(45, "a" * 240_000)  # 128 KiB is what Linux takes in one argument; there may be many
    running.exec("/bin/nc")
    running.turn_until(running.is_through)
    assert not running.notices and [one.get("cut") for one in running.records("detection")] == [16384, None]


def test_detections_are_not_judged_again(running: Running) -> None:
    write_rule(running.rules, "c", MINER)
    running.exec("/bin/nc")
    running.turn_until(running.is_through)
    for _ in range(100):
        running.turn()
    assert len(running.found()) == 2 and running.detecting.state()["evaluated"] == 2


def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    running = Running(tmp_path, segment_bytes=8192)
    try:
        running.turn_until(running.is_through)
        running.exec("/bin/nc", 3)
        running.log._waiting = True  # as after a write that the disk refused
        for _ in range(50):
            running.turn()
        assert running.found() == []
        running.log.tick()
        running.turn_until(running.is_through)
        assert running.found() == running.expected()
    finally:
        running.close(0.0)


def test_a_worker_goes_on_where_the_log_was_rotated(tmp_path: Path) -> None:
    running = Running(tmp_path, segment_bytes=8192)
    try:
        for _ in range(20):
            running.exec("/bin/nc")
            running.exec("/bin/ls", 30)
            running.turn()
        running.turn_until(running.is_through)
        assert running.found() == running.expected() and len(list(running.log_dir.glob("1*.jsonl"))) > 9
    finally:
        running.close(0.0)
