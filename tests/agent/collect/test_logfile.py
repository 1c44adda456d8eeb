# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.collect import logfile
from agent.collect.logfile import OLD_S, LogFile
from agent.collect.opened import Spot


class Following:
    """A log file, its reader, and a clock that is turned by hand."""

    def __init__(self, path: Path) -> None:
        self.path, self.now = path, 0.0
        path.write_text("before\n")
        self.file = LogFile(str(path), 100, None, True)

    def write(self, text: str, path: Path | None = None) -> None:
        with (path or self.path).open("a") as file:
            file.write(text)

    def read(self, seconds: float = 0.25) -> list[str]:
        self.now += seconds
        return [line.text for line in self.file.lines(self.now)]

    def again(self, spot: Spot | None) -> None:
        self.file.close()
        self.file = LogFile(str(self.path), 100, spot, False)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Following]:
    found = Following(tmp_path / "auth.log")
    yield found
    found.file.close()


def test_a_log_is_followed_from_its_end(log: Following) -> None:
    assert log.read() == []
    log.write("one\ntwo")
    assert log.read() == ["one"]
    log.write(" and more\n")
    assert log.read() == ["two and more"] and not log.file.problem


def test_a_log_that_was_renamed_is_read_to_its_end(log: Following) -> None:
    log.read()
    log.write("last\n")
    old = log.path.rename(log.path.with_suffix(".log.1"))
    assert log.read() == ["last"]  # there is no new one yet
    log.path.write_text("first\n")
    log.write("late, by who has not been told\n", old)
    assert log.read() == ["late, by who has not been told", "first"]
    log.write("without an end", old)
    assert log.read() == [] and log.read(OLD_S + 1) == ["without an end"]
    log.write("new\n")
    assert log.read() == ["new"] and log.file.lost == []


def test_a_log_that_was_copied_and_truncated_is_read_on(log: Following) -> None:
    log.read()
    log.write("one\n")
    assert log.read() == ["one"]
    os.truncate(log.path, 0)
    log.write("two\n")
    assert log.read() == ["two"] and log.file.lost == []


def test_a_log_that_comes_later_is_read_from_its_beginning(log: Following) -> None:
    log.path.unlink()
    assert log.read() == [] and "No such file" in log.file.problem
    log.path.write_text("first\n")
    assert log.read(2) == ["first"] and not log.file.problem


def test_a_log_that_is_none_is_told_until_it_is_one(log: Following) -> None:
    log.path.unlink()
    log.path.mkdir()
    assert log.read() == [] and log.file.problem == f"{log.path}: is no regular file"
    log.path.rmdir()
    log.path.write_text("")
    log.read(2)
    assert not log.file.problem


def test_reading_goes_on_where_it_was(log: Following) -> None:
    log.read()
    log.write("one\nbegun")
    assert log.read() == ["one"]
    log.again(log.file.spot())
    log.write(", ended\n")
    assert log.read() == ["begun, ended"] and log.file.lost == []


def test_what_was_renamed_meanwhile_is_found_beside(log: Following) -> None:
    log.read()
    spot = log.file.spot()
    log.write("missed\n")
    log.path.rename(log.path.with_suffix(".log.1"))
    log.path.write_text("new\n")
    log.again(spot)
    assert log.read() == ["missed", "new"] and log.file.lost == []


def test_what_is_gone_meanwhile_is_told(log: Following) -> None:
    log.read()
    spot = log.file.spot()
    log.path.write_text("another text\n")
    log.again(spot)
    assert log.read() == ["another text"] and log.file.lost == [("line_gap", 1)]


def test_too_much_is_passed_over_and_counted(log: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "BACKLOG_BYTES", 100)
    log.read()
    log.write("x\n" * 60)
    assert log.read() == [] and log.file.lost == [("line_rate", 60)]
    log.write("y\n")
    assert log.read() == ["y"]


def test_many_rotations_hold_few_files_open(log: Following) -> None:
    log.read()
    for number in range(20):
        log.write(f"{number}\n")
        log.path.rename(log.path.with_suffix(f".log.{number}"))
        log.path.write_text("")
        log.read()
    found = [
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if int(fd) > 2
        if os.path.lexists(f"/proc/self/fd/{fd}")
    ]
    assert sum("auth.log" in one for one in found) <= logfile.MOST_OLD + 1


def test_what_lost_its_name_is_read_on_though_another_thing_has_it(log: Following) -> None:
    log.read()
    log.write("one\n")
    old = log.path.rename(log.path.with_suffix(".log.1"))
    log.path.symlink_to("/etc/shadow")
    assert log.read() == ["one"] and "symbolic link" in log.file.problem
    log.write("two\n", old)
    assert log.read() == ["two"]
    log.path.unlink()
    log.path.write_text("three\n")
    assert log.read(2) == ["three"] and not log.file.problem


def test_after_a_rotation_nothing_is_read_twice(log: Following) -> None:
    log.read()
    log.path.rename(log.path.with_suffix(".log.1"))
    log.path.write_text("new\n")
    assert log.read() == ["new"]
    log.again(log.file.spot())
    log.write("newer\n")
    assert log.read() == ["newer"]
