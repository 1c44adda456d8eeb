# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.collect import opened as module
from agent.collect.opened import Opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "auth.log"
    found.write_text("one\ntwo\n")
    return found


@pytest.fixture
def opened(path: Path) -> Iterator[Opened]:
    found = Opened(str(path), 100)
    yield found
    found.close()


def texts(opened: Opened) -> list[str]:
    return [line.text for line in opened.read()]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_what_comes_is_read_once(opened: Opened, path: Path) -> None:
    assert texts(opened) == ["one", "two"] and texts(opened) == []
    append(path, "three\n")
    assert texts(opened) == ["three"]


def test_the_place_is_before_a_line_that_is_not_whole(opened: Opened, path: Path) -> None:
    append(path, "begun")
    assert texts(opened) == ["one", "two"] and opened.spot().offset == 8
    other = Opened(str(path), 100)
    assert other.seek(opened.spot())
    append(path, " and ended\n")
    assert texts(other) == texts(opened) == ["begun and ended"]
    other.close()


def test_a_place_in_a_file_that_was_written_anew_is_none(opened: Opened, path: Path) -> None:
    texts(opened)
    spot = opened.spot()
    path.write_text("one\nten\nmore\n")
    other = Opened(str(path), 100)
    assert not other.seek(spot) and not other.seek(spot._replace(offset=10**6))
    assert texts(other) == ["one", "ten", "more"]
    other.close()


@pytest.mark.parametrize("anew", ["", "new\n", "a longer one than before\nand another\n"])
def test_a_file_that_was_truncated_is_read_from_its_beginning(opened: Opened, path: Path, anew: str) -> None:
    texts(opened)
    path.write_text(anew)
    assert not opened.begin_anew()  # all of it had been read
    assert texts(opened) == anew.splitlines() and not opened.begin_anew()


def test_what_was_not_read_before_it_was_truncated_is_told(opened: Opened, path: Path) -> None:
    texts(opened)
    append(path, "three\n")
    assert opened.unread() == 6
    path.write_text("new\n")
    assert opened.begin_anew()


def test_what_is_passed_over_is_counted(opened: Opened, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    append(path, "three\nfour")
    assert opened.pass_over() == 3
    append(path, " and more\n")
    assert texts(opened) == ["four and more"]


def test_a_file_without_end_is_passed_over_in_parts(
    opened: Opened, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PASS_BYTES", 1 << 20)
    os.truncate(path, 3 << 20)
    assert [opened.pass_over() for _ in range(4)] == [2, 0, 0, 0] and opened.unread() < 1 << 20


def test_what_is_no_file_is_refused(tmp_path: Path, path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(path)
    for name, why in (("pipe", "no regular file"), ("link", "symbolic link"), (".", "no regular file")):
        with pytest.raises(OSError, match=why):
            Opened(str(tmp_path / name), 100)
