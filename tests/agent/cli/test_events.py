# SPDX-License-Identifier: Apache-2.0
"""`tracehound events` on real segments."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.cli.conftest import Call, LogMaker, stamp

COMMAND = [sys.executable, "-m", "agent.cli.main", "events"]
SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def session(log: LogMaker) -> LogMaker:
    """Two segments: init, sshd and bash in the first, two children of bash in the second."""
    init = log.exec(1, "/sbin/init", at=0)
    sshd = log.exec(800, "/usr/sbin/sshd", parent=init, at=1)
    bash = log.exec(1000, "/bin/bash", parent=sshd, at=2, uid=1000, own={"user": "alice"})
    log.segment(at=3600)
    for number in range(2):
        child = log.exec(1001 + number, "/bin/ls", f"-{number}", parent=bash, at=3601 + number, uid=1000)
        log.exit(child, 3601.5 + number, bash, status=number)
    return log


def lines(call: Call, log: LogMaker, *argv: str) -> list[str]:
    status, out, err = call("events", "--log-dir", log.directory, *argv)
    assert (status, err) == (0, "")
    return out.splitlines()


def test_everything_is_shown_oldest_first(call: Call, session: LogMaker) -> None:
    shown = lines(call, session)
    assert [line.split()[4] for line in shown] == ["exec", "exec", "exec", "exec", "exit", "exec", "exit"]
    assert shown[-1].endswith("/bin/ls status 1 after 500ms  ← init › sshd › bash")


def test_the_golden_session_is_read_from_a_segment(call: Call, log: LogMaker) -> None:
    (log.directory / "1767225600000-000000000001.jsonl").write_bytes((SAMPLES / "session.jsonl").read_bytes())
    golden = (SAMPLES / "session.compact").read_text().splitlines()
    assert lines(call, log) == [line for line in golden if "heartbeat" not in line and "segment" not in line]


def test_the_last_records_know_ancestors_of_earlier_segments(call: Call, session: LogMaker) -> None:
    (line,) = lines(call, session, "-n", "1")
    assert "exit" in line
    assert line.endswith("← init › sshd › bash")


def test_since_starts_in_the_right_segment_and_still_knows_the_ancestors(
    call: Call, session: LogMaker
) -> None:
    shown = lines(call, session, "--since", stamp(3602))
    assert [line.split()[4] for line in shown] == ["exec", "exit"]
    assert "← init › sshd › bash" in shown[0]


def test_until_ends_it(call: Call, session: LogMaker) -> None:
    assert len(lines(call, session, "--until", stamp(1))) == 2
    assert len(lines(call, session, "--since", stamp(1), "--until", stamp(3601))) == 3


def test_last_and_since_are_combined(call: Call, session: LogMaker) -> None:
    assert len(lines(call, session, "-n", "100", "--since", stamp(3602))) == 2
    assert len(lines(call, session, "-n", "1", "--until", stamp(2))) == 1
    assert lines(call, session, "-n", "0") == []


def test_last_counts_what_matches(call: Call, session: LogMaker) -> None:
    shown = lines(call, session, "-n", "2", "--type", "exec", "--binary", "sbin")
    assert [line.split()[6] for line in shown] == ["/sbin/init", "/usr/sbin/sshd"]


def test_types_are_filtered_and_names_still_known(call: Call, session: LogMaker) -> None:
    shown = lines(call, session, "--type", "exit")
    assert len(shown) == 2
    assert shown[0].endswith("← init › sshd › bash")


def test_json_is_the_raw_line(call: Call, session: LogMaker) -> None:
    raw = [line for path in sorted(session.directory.iterdir()) for line in path.read_text().splitlines()]
    assert lines(call, session, "-o", "json") == [line for line in raw if '"segment"' not in line]


def test_wide_lines_have_the_exec_id(call: Call, session: LogMaker) -> None:
    assert "exec_id=" in lines(call, session, "-o", "wide")[0]


def test_hostile_content_gives_one_printable_line_per_record(call: Call, log: LogMaker) -> None:
    nasty = "\x1b[2J\x1b]0;x\x07\n\r\u202e\u2028\x9b"
    log.exec(1, "/tmp/" + nasty, nasty, *["a"] * 10_000, cwd="/" + "d" * 4095)
    for form in ("compact", "wide"):
        (line,) = lines(call, log, "-o", form)
        assert line.isprintable()
    (raw,) = lines(call, log, "-o", "json")[0:1]
    assert "a" in raw


def test_a_line_that_is_no_record_is_told_on_standard_error(call: Call, session: LogMaker) -> None:
    segment = sorted(session.directory.iterdir())[0]
    segment.write_bytes(segment.read_bytes() + b'{"process_exec": garbage}\n')
    status, out, err = call("events", "--log-dir", session.directory)
    assert (status, len(out.splitlines())) == (0, 7)
    assert err.startswith("tracehound: 26 bytes at 1767225600000-000000000001.jsonl:")


def test_a_removed_segment_is_told(call: Call, session: LogMaker) -> None:
    session.segment(at=7200)
    sorted(session.directory.iterdir())[1].unlink()
    shown = lines(call, session)
    assert "!!! NOTICE segment removed" in shown[-1]
    assert "records 5 to 9 are missing" in shown[-1]


def test_a_missing_log_is_an_error_with_the_way_out(call: Call, tmp_path: Path) -> None:
    status, out, err = call("events", "--log-dir", tmp_path / "none")
    assert (status, out) == (5, "")
    assert "cannot read the log" in err
    assert "hint: " in err


def test_an_empty_log_is_no_error(call: Call, log: LogMaker) -> None:
    assert lines(call, log) == []
    assert lines(call, log, "-n", "5") == []


def test_the_configured_log_is_read_under_another_root(call: Call, tmp_path: Path) -> None:
    LogMaker(tmp_path / "var/lib/tracehound/log").exec(1, "/sbin/init")
    status, out, _ = call("events", "--root", tmp_path)
    assert (status, out.count("/sbin/init")) == (0, 1)


@pytest.mark.parametrize(
    "argv", [["-n", "-1"], ["--since", "soon"], ["--type", "exce"], ["--pid", "x"], ["-o", "xml"]]
)
def test_a_wrong_option_is_a_usage_error(call: Call, log: LogMaker, argv: list[str]) -> None:
    status, out, err = call("events", "--log-dir", log.directory, *argv)
    assert (status, out) == (2, "")
    assert err.startswith("tracehound: ")


Started = Callable[..., subprocess.Popen[Any]]


@pytest.fixture
def start(log: LogMaker) -> Iterator[Started]:
    """Starts the command on the log and ends it after the test."""
    running: list[subprocess.Popen[Any]] = []

    def start(*argv: str, **streams: Any) -> subprocess.Popen[Any]:
        command = [*COMMAND, "--log-dir", str(log.directory), *argv]
        running.append(subprocess.Popen(command, **({"stdout": subprocess.PIPE, "text": True} | streams)))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_follow_shows_the_last_ten_and_what_comes_across_rotation(log: LogMaker, start: Started) -> None:
    for number in range(20):
        log.exec(100 + number, "/bin/old", at=number)
    follower = start("-f")
    assert follower.stdout is not None
    assert [follower.stdout.readline().split()[5] for _ in range(10)] == [str(110 + n) for n in range(10)]
    log.exec(500, "/bin/new", at=30)
    assert "/bin/new" in follower.stdout.readline()
    log.segment(at=40)
    log.exec(501, "/bin/newer", at=41)
    assert "/bin/newer" in follower.stdout.readline()
    assert follower.poll() is None


def test_follow_ends_at_until(log: LogMaker, start: Started) -> None:
    log.exec(1, "/sbin/init")
    follower = start("-f", "--until", stamp(10))
    assert follower.stdout is not None
    assert "/sbin/init" in follower.stdout.read()
    assert follower.wait(timeout=10) == 0


def read_terminal(master: int, enough: str, seconds: float = 20) -> str:
    """What comes out of a pseudo-terminal until `enough` is in it."""
    text, deadline = b"", time.monotonic() + seconds
    while enough.encode() not in text and time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                text += os.read(master, 65536)
            except OSError:
                break
    return text.decode()


@pytest.mark.parametrize(("argv", "colored"), [((), True), (("--color", "never"), False)])
def test_a_terminal_gets_colours_unless_told_otherwise(
    log: LogMaker, start: Started, argv: tuple[str, ...], colored: bool
) -> None:
    log.exec(1, "/sbin/init", "\x1b[2J")
    master, slave = pty.openpty()
    start(*argv, stdout=slave, text=False)
    os.close(slave)
    text = read_terminal(master, "\n")
    os.close(master)
    assert ("\x1b[" in text) is colored
    assert "\x1b[2J" not in text
    assert r"\e[2J" in text


def test_json_on_a_terminal_cannot_steer_it(log: LogMaker, start: Started) -> None:
    log.exec(1, "/sbin/init", "\x9b2J\u202e")
    master, slave = pty.openpty()
    start("-o", "json", stdout=slave, text=False)
    os.close(slave)
    text = read_terminal(master, "\n")
    os.close(master)
    assert text.rstrip("\r\n").isprintable()
    assert json.loads(text)["tracehound"]["arguments"][1] == "\x9b2J\u202e"


def test_a_pipe_gets_no_colours_unless_told_otherwise(log: LogMaker, start: Started) -> None:
    log.exec(1, "/sbin/init")
    plain, colored = (start(*argv).communicate()[0] for argv in ((), ("--color", "always")))
    assert "\x1b" not in plain
    assert "\x1b[" in colored


def test_a_terminal_is_told_when_nothing_matches(log: LogMaker, start: Started) -> None:
    log.exec(1, "/sbin/init")
    master, slave = pty.openpty()
    start("--pid", "2", stdout=slave, stderr=slave, text=False)
    os.close(slave)
    assert "tracehound: no matching records" in read_terminal(master, "records")
    os.close(master)
