# SPDX-License-Identifier: Apache-2.0
"""Real processes: Python itself, with a line or two to run."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.children import LineChild, hold_alone, spawn

ECHO = "import os\nwhile said := os.read(5, 4096): os.write(5, said)"


@contextmanager
def child(code: str, *, longest: int = 1 << 16) -> Iterator[LineChild]:
    made = LineChild(["-c", code], 5, {}, read_bytes=4096, longest_line=longest)
    try:
        yield made
    finally:
        made.kill()
        made.reap(wait=True)
        made.close()


def heard(made: LineChild, count: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < count:
        assert select.select([made.sock], [], [], 30)[0]
        found += made.lines()
    return found


def test_lines_go_both_ways() -> None:
    with child(ECHO) as made:
        assert made.say({"a": 1}) == made.say({"b": "\n"}) == 0
        assert heard(made, 2) == [b'{"a":1}', b'{"b":"\\n"}']


def test_lines_that_are_not_taken_stay() -> None:
    with child("import os; os.write(5, b'one\\ntwo\\nth'); os.read(5, 1)") as made:
        assert select.select([made.sock], [], [], 30)[0]
        assert next(made.lines()) == b"one"
        assert list(made.lines()) == [b"two"]


def test_a_line_that_is_too_long_ends_the_child() -> None:
    with child("import os; os.write(5, b'x' * 2000); os.read(5, 1)", longest=1000) as made:
        assert select.select([made.sock], [], [], 30)[0]
        assert list(made.lines()) == []
        assert made.reap(wait=True) == -9


def test_what_a_terminal_sends_does_not_reach_the_child() -> None:
    code = "import os; os.write(5, b'%d %d\\n' % (os.getpgrp(), os.getpid()))"
    with child(code) as made:
        (line,) = heard(made, 1)
    group, pid = map(int, line.split())
    assert group == pid != os.getpgrp()


def test_a_child_that_hangs_up_is_ended() -> None:
    with child("import os, time; os.close(5); time.sleep(300)") as made:
        assert select.select([made.sock], [], [], 30)[0]
        assert list(made.lines()) == []
        assert made.reap(wait=True) == -9
        assert made.reap() == -9


def test_what_a_child_does_not_read_waits_and_is_counted() -> None:
    with child("import time; time.sleep(300)") as made:
        assert [made.say({"x": "y" * 100_000}) for _ in range(20)][-1] > 500_000


@pytest.mark.parametrize(("keeps", "where"), [(True, "out"), (False, "err")])
def test_output_is_the_agents_unless_it_is_kept(
    keeps: bool, where: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pid = spawn(["-c", "import sys; print(sys.stdin.read() + 'here')"], {}, keeps_output=keeps)
    assert os.waitpid(pid, 0)[1] == 0
    assert getattr(capfd.readouterr(), where) == "here\n"


def test_a_child_has_the_descriptors_that_it_is_given_and_no_others() -> None:
    (reading, writing), others = os.pipe(), os.pipe()
    code = (
        f"import os; os.write(7, b'%d' % sum(map(os.path.exists, {[f'/proc/self/fd/{n}' for n in others]})))"
    )
    pid = spawn(["-c", code], {7: writing})
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reading, 1000) == b"0"
    for fd in (reading, *others):
        os.close(fd)


def test_a_state_is_one_child_s_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.children._LOCK_S", 0.1)
    first = hold_alone(tmp_path)
    with pytest.raises(BlockingIOError):
        hold_alone(tmp_path)
    os.close(first)
    os.close(hold_alone(tmp_path))
