# SPDX-License-Identifier: Apache-2.0
"""Finding a process and its family in the log."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.cli.scan import Scan
from agent.cli.search import find_family, find_pid
from agent.errors import UsageError
from tests.agent.cli.conftest import START_NS, LogMaker, stamp


def scan(log: LogMaker, since: float | None = None) -> Scan:
    return Scan(log.directory, None if since is None else START_NS + int(since * 1e9))


def at(seconds: float) -> int:
    return START_NS + int(seconds * 1e9)


Reused = tuple[LogMaker, list[dict[str, Any]]]


@pytest.fixture
def reused(log: LogMaker) -> Reused:
    """Pid 50 is used from second 1 to 2 and again from 10."""
    first = log.exec(50, "/bin/first", at=1)
    log.exit(first, 2)
    second = log.exec(50, "/bin/second", at=10)
    return log, [first, second]


def test_a_reused_pid_is_its_newest_process(reused: Reused) -> None:
    log, processes = reused
    assert find_pid(scan(log), 50, None) == processes[1]["exec_id"]


@pytest.mark.parametrize(("when", "index"), [(1, 0), (1.5, 0), (2, 0), (10, 1), (99, 1)])
def test_a_reused_pid_is_the_process_that_had_it_then(reused: Reused, when: float, index: int) -> None:
    assert find_pid(scan(reused[0]), 50, at(when)) == reused[1][index]["exec_id"]


def test_a_time_without_a_process_is_refused_with_the_neighbours(
    reused: Reused,
) -> None:
    with pytest.raises(UsageError, match="pid 50 was not in use at 2026-01-01T00:00:05") as caught:
        find_pid(scan(reused[0]), 50, at(5))
    assert f"ended at {stamp(2)}, the next one began at {stamp(10)}" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        find_pid(scan(reused[0]), 50, at(0.5))
    assert caught.value.hint == f"its first process began at {stamp(1)}"


def test_a_time_before_the_log_begins_is_not_told_to_be_without_a_process(reused: Reused) -> None:
    with pytest.raises(
        UsageError, match=r"who had pid 50 at 2025-12-31T23:59:55.* is not in the log"
    ) as caught:
        find_pid(scan(reused[0]), 50, at(-5))
    assert caught.value.hint.endswith(f"the first there began at {stamp(1)}")


def test_a_process_that_a_reboot_ended_is_not_alive_after_it(log: LogMaker) -> None:
    log.exec(50, "/bin/x", at=1)
    log.segment(at=100, boot_id="boot-2")
    with pytest.raises(UsageError, match="was not in use"):
        find_pid(scan(log), 50, at(200))
    assert find_pid(scan(log), 50, at(50))


def test_an_unknown_pid_is_refused_with_what_the_log_covers(log: LogMaker) -> None:
    log.exec(1, "/sbin/init", at=3)
    with pytest.raises(UsageError, match="no process with pid 77 is in the log") as caught:
        find_pid(scan(log), 77, None)
    assert f"{stamp(0)} to {stamp(3)}" in caught.value.hint


def test_a_pid_is_not_found_inside_a_longer_number(log: LogMaker) -> None:
    log.exec(500, "/bin/x", own={"nspid": 50})
    with pytest.raises(UsageError, match="no process with pid 50"):
        find_pid(scan(log), 50, None)


def test_the_process_of_a_pid_begins_with_its_first_image(log: LogMaker) -> None:
    shell = log.exec(50, "/bin/sh", at=1)
    env = log.replace(shell, "/usr/bin/env", at=2)
    log.replace(env, "/bin/cat", at=3)
    assert find_pid(scan(log), 50, None) == shell["exec_id"]
    assert find_pid(scan(log), 50, at(2.5)) == shell["exec_id"]


def test_a_parent_known_only_from_its_children_is_found(log: LogMaker) -> None:
    parent = log.exec(50, "/bin/sh", at=1)
    log.segment(at=2)
    log.exec(51, "/bin/cat", parent=parent, at=3)
    sorted(log.directory.iterdir())[0].unlink()
    family, _ = find_family(scan(log), find_pid(scan(log), 50, None))
    assert (family.root.binary, family.root.recorded) == ("/bin/sh", False)
    assert [image.binary for _, image, _ in family.walk()] == ["/bin/sh", "/bin/cat"]


def strip_ancestry(log: LogMaker) -> None:
    for path in log.directory.iterdir():
        records = [json.loads(line) for line in path.read_text().splitlines()]
        for record in records:
            record["tracehound"].pop("ancestry", None)
        path.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in records))


@pytest.mark.parametrize("ancestry", [True, False])
def test_a_family_is_whole_with_and_without_ancestry_in_the_log(log: LogMaker, ancestry: bool) -> None:
    init = log.exec(1, "/sbin/init", at=0)
    root = log.exec(50, "/bin/sh", parent=init, at=1)
    child = log.exec(51, "/bin/a", parent=root, at=2)
    image = log.replace(root, "/bin/dash", at=3)
    grandchild = log.exec(52, "/bin/b", parent=child, at=4)
    log.exec(53, "/bin/c", parent=image, at=5)
    log.exit(grandchild, 6, child, signal="SIGTERM")
    log.exec(60, "/bin/stranger", parent=init, at=7)
    if not ancestry:
        strip_ancestry(log)
    family, period = find_family(scan(log), root["exec_id"])
    assert [(depth, image.binary) for depth, image, _ in family.walk()] == [
        (0, "/bin/sh"),
        (1, "/bin/a"),
        (2, "/bin/b"),
        (1, "/bin/dash"),
        (2, "/bin/c"),
    ]
    assert family.images[grandchild["exec_id"]].signal == "SIGTERM"
    assert [image.binary for image in family.line_of_ancestors()] == ["/sbin/init"]
    assert period.start == stamp(0)


def test_since_limits_what_is_read(log: LogMaker) -> None:
    log.exec(50, "/bin/x", at=1)
    with pytest.raises(UsageError):
        find_pid(scan(log, since=5), 50, None)


def test_an_unknown_exec_id_is_refused(log: LogMaker) -> None:
    log.exec(1, "/sbin/init")
    with pytest.raises(UsageError, match="no process with exec_id zzz"):
        find_family(scan(log), "zzz")


def test_a_malformed_record_is_passed_over(log: LogMaker) -> None:
    root = log.exec(50, "/bin/x", at=1)
    log.write({"process_exec": {"oops": root["exec_id"]}}, {"ancestry": [root["exec_id"]]}, 2)
    assert len(find_family(scan(log), root["exec_id"])[0].images) == 1
