# SPDX-License-Identifier: Apache-2.0
"""`tracehound tree`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker, stamp
from tests.agent.store import support
from tests.agent.store.support import compact_all

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def session(log: LogMaker) -> LogMaker:
    (log.directory / "1767225600000-000000000001.jsonl").write_bytes((SAMPLES / "session.jsonl").read_bytes())
    return log


def tree(call: Call, log: LogMaker, *argv: object) -> str:
    status, out, err = call("tree", "--log-dir", log.directory, *argv)
    assert (status, err) == (0, "")
    return out


@pytest.mark.parametrize("pid", [1, 1002, 1003])
def test_trees_of_the_golden_session(call: Call, session: LogMaker, pid: int) -> None:
    assert tree(call, session, "--pid", pid) == (SAMPLES / f"tree-{pid}.txt").read_text()


def test_an_exec_id_means_one_image(call: Call, session: LogMaker) -> None:
    out = tree(call, session, "--exec-id", "bjE6NDIwMDAwMTAwMDoxMDAy")
    assert "/tmp/x  (alice" in out
    target = next(line for line in out.splitlines() if line.endswith("◀"))
    assert target.strip().startswith("└⇒ 1002 /tmp/x")


def test_losses_outside_of_its_life_are_not_its_business(call: Call, session: LogMaker) -> None:
    assert "this tree may miss children" in tree(call, session, "--pid", 1000)
    assert "this tree may miss" not in tree(call, session, "--pid", 1001)


def test_a_loss_says_what_it_may_have_taken(call: Call, log: LogMaker) -> None:
    log.exec(50, "/bin/x", at=1)
    log.loss(3, 2, 3, hook="exit")
    log.loss(4, 4, 5, hook="", cause="queue_full")
    log.own("stop", {"reason": "x"}, 10)
    log.own("start", {"pid": 1}, 20)
    out = tree(call, log, "--pid", 50)
    assert "may miss the end of processes between 01-01 00:00:02.000 and 01-01 00:00:03.000: 3 lost" in out
    assert "may miss processes between 01-01 00:00:04.000 and 01-01 00:00:05.000: 4 lost: queue_full" in out
    assert "between 01-01 00:00:10.000 and 01-01 00:00:20.000: the agent did not run" in out


def test_json_is_a_flat_list_in_the_order_of_the_tree(call: Call, session: LogMaker) -> None:
    facts = json.loads(tree(call, session, "--pid", 1002, "-o", "json"))
    assert [(p["depth"], p["binary"], p["state"]) for p in facts["processes"]] == [
        (0, "/bin/sh", "replaced"),
        (1, "/tmp/x", "running"),
        (2, "/usr/bin/sudo", "exited"),
        (2, "/bin/cat", "exited"),
        (3, "/bin/cat", "running"),
    ]
    assert [p["binary"] for p in facts["ancestors"]][-1] == "/bin/bash"
    assert facts["processes"][2]["signal"] == "SIGKILL"
    assert facts["period"] == {"from": stamp(0), "to": stamp(50)}
    assert facts["complete"] is True


def test_a_process_that_a_reboot_ended_is_not_running(call: Call, log: LogMaker) -> None:
    log.exec(50, "/bin/x", at=1)
    log.segment(at=100, boot_id="boot-2")
    assert "until the machine restarted" in tree(call, log, "--pid", 50)
    assert json.loads(tree(call, log, "--pid", 50, "-o", "json"))["processes"][0]["state"] == "exited"


def test_hostile_content_stays_on_its_line(call: Call, log: LogMaker) -> None:
    nasty = "\x1b[2J\n\u202e\u2028"
    parent = log.exec(1, nasty, nasty, at=0, own={"user": nasty})
    log.exec(2, nasty, *["a"] * 10_000, parent=parent, at=1, docker=nasty)
    out = tree(call, log, "--pid", 1)
    assert all(line.isprintable() for line in out.splitlines())
    assert len(out.splitlines()) == 3
    assert len(out) < 2000


def test_very_deep_trees_are_not_indented_for_ever(call: Call, log: LogMaker) -> None:
    parent = log.exec(1, "/bin/x", at=0)
    for number in range(2, 300):
        parent = log.exec(number, "/bin/x", parent=parent, at=number)
    lines = tree(call, log, "--pid", 1).splitlines()
    assert lines[-2].startswith("[298 deep] └─ 299 /bin/x")
    assert max(map(len, lines)) < 300


def test_colours_are_given_when_asked_for(call: Call, session: LogMaker) -> None:
    assert "\x1b[" in tree(call, session, "--pid", 1, "--color", "always")
    assert "\x1b[" not in tree(call, session, "--pid", 1)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--pid", "4711"], "no process with pid 4711 is in the log"),
        (["--pid", "1", "--at", "2020-01-01"], "who had pid 1 at 2020-01-01T00:00:00"),
        (["--exec-id", "x"], "no process with exec_id x is in the log"),
        ([], "one of the arguments --pid --exec-id --pod --container --file --address is required"),
        (["--pid", "1", "--exec-id", "x"], "not allowed with argument --pid"),
    ],
)
def test_what_cannot_be_answered_is_said_clearly(
    call: Call, session: LogMaker, argv: list[str], message: str
) -> None:
    status, out, err = call("tree", "--log-dir", session.directory, *argv)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    "argv",
    [
        ("--pid", "99999999999999999999"),
        ("--pid", "-1"),
        ("--pid", "0"),
        ("--pid", "50", "--at", "9999-12-31"),
        ("--file", "/tmp/\udcff"),
        ("--exec-id", "\udcff"),
        ("--container", "\udcff0123456789"),
    ],
)
def test_absurd_targets_are_refused_in_words(call: Call, tmp_path: Path, argv: tuple[str, ...]) -> None:
    compact_all(support.session(tmp_path / "log").directory)
    status, out, err = call("tree", "--log-dir", tmp_path / "log", *argv)
    assert (status, out) == (2, "") and "hint: " in err
