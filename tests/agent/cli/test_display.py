# SPDX-License-Identifier: Apache-2.0
"""Streams that are read, slowly or not at all: real pipes, terminals and files."""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.display import WAITING_BYTES, Display

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_what_is_read_is_shown(pipe: tuple[int, int]) -> None:
    display = Display(pipe[1])
    display.write(LINE)
    assert os.read(pipe[0], 5000) == LINE
    display.close()


def test_a_pipe_that_nobody_reads_holds_nobody_up_and_tells_what_is_missing(pipe: tuple[int, int]) -> None:
    display = Display(pipe[1])
    count = WAITING_BYTES // len(LINE) + 200
    for _ in range(count):
        display.write(LINE)
    assert (display.left_out > 0, display.missing()) == (True, 0)
    left_out, found = display.left_out, 0
    while found < count - left_out:
        found += os.read(pipe[0], 1 << 20).count(b"\n")
        display.flush()
    assert (display.missing(), display.missing()) == (left_out, 0)
    assert os.get_blocking(pipe[1]), "who shares the pipe is not changed"
    display.close()


def test_a_stopped_terminal_holds_nobody_up() -> None:
    outer, inner = pty.openpty()
    termios.tcflow(inner, termios.TCOOFF)
    display = Display(inner)
    for _ in range(1100):
        display.write(LINE)
    display.close(patience_s=0.01)
    os.close(inner)
    os.close(outer)


def test_a_file_is_written_where_it_stands(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        file.write(b"before\n")
        display = Display(file.fileno())
        display.write(b"after\n")
        display.close()
    assert (tmp_path / "out").read_bytes() == b"before\nafter\n"


def test_a_reader_that_has_gone_is_an_error(pipe: tuple[int, int]) -> None:
    display = Display(pipe[1])
    gone, other = os.pipe()
    os.close(gone)
    with pytest.raises(BrokenPipeError):
        Display(other).write(LINE)
    os.close(other)
    display.close()


def test_one_long_text_is_not_left_out(pipe: tuple[int, int]) -> None:
    display = Display(pipe[1])
    display.write(b"x" * 2 * WAITING_BYTES)
    assert (display.left_out, len(os.read(pipe[0], 100))) == (0, 100)
    display.close(patience_s=0.01)
