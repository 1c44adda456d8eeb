# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from agent.collect.cutting import Cutter, Line


def test_a_line_is_one_when_its_newline_is_there() -> None:
    cutter = Cutter(100)
    assert list(cutter.lines(b"begun, ")) == [] and cutter.waiting == 7
    assert list(cutter.lines(b"ended\nnext")) == [Line("begun, ended")]
    assert (cutter.flush(), cutter.flush()) == (Line("next"), None)


def test_a_long_line_is_cut_and_says_so() -> None:
    cutter = Cutter(4)
    found = [line for piece in (b"ab", b"cdef", b"gh\nabcd\n") for line in cutter.lines(piece)]
    assert found == [Line("abcd", True), Line("abcd")]


def test_what_is_no_text_is_still_a_line() -> None:
    assert list(Cutter(100).lines(b"a\xff\x00b\r\n\n\x00\x00\x00new\n")) == [Line("a\ufffd\0b"), Line("new")]


def test_a_hole_before_a_line_takes_nothing_of_its_room() -> None:
    cutter = Cutter(8)
    found = [line for piece in (b"\0" * 50, b"\0" * 50, b"after it\n") for line in cutter.lines(piece)]
    assert [line.text for line in found] == ["after it"]


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_pieces_change_nothing(pieces: list[bytes]) -> None:
    cutter, whole = Cutter(10), Cutter(10)
    found = [line.text for piece in pieces for line in cutter.lines(piece)]
    assert found == [line.text for line in whole.lines(b"".join(pieces))]
    assert cutter.waiting == whole.waiting
