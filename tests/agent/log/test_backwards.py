# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.log import backwards
from agent.log.backwards import lines_backwards


def backwards_through(path: Path, end: int | None = None) -> list[tuple[int, bytes]]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return list(lines_backwards(fd, path.stat().st_size if end is None else end))
    finally:
        os.close(fd)


def test_lines_come_last_one_first_with_their_offsets(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo\nthr")
    assert backwards_through(tmp_path / "log") == [(8, b"thr"), (4, b"two\n"), (0, b"one\n")]


def test_nothing_after_the_given_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"one\ntwo\n")
    assert backwards_through(tmp_path / "log", end=4) == [(0, b"one\n")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.sampled_from([b"\n", b"a", b"bcd", b"e" * 40])).map(b"".join), block=st.integers(1, 9)
)
def test_every_byte_comes_exactly_once(
    data: bytes, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backwards, "BLOCK_BYTES", block)
    (tmp_path / "log").write_bytes(data)
    found = backwards_through(tmp_path / "log")[::-1]
    assert [line for _, line in found] == [line + b"\n" for line in data.split(b"\n")[:-1]] + [
        rest for rest in data.split(b"\n")[-1:] if rest
    ]
    assert [offset for offset, _ in found] == [sum(len(x) for _, x in found[:i]) for i in range(len(found))]
