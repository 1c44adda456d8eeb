# SPDX-License-Identifier: Apache-2.0
import struct

from hypothesis import given
from hypothesis import strategies as st

from agent.detect.dns import question_in


def query(*labels: bytes, kind: int = 1, flags: int = 0x0100) -> bytes:
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", 7, flags, 1, 0, 0, 0) + name + struct.pack("!2H", kind, 1)


def test_a_question_has_name_and_type() -> None:
    assert question_in(query(b"pool", b"example", b"com", kind=28)) == ("pool.example.com", "AAAA")


def test_over_tcp_the_length_stands_before_it() -> None:
    message = query(b"example", b"com")
    assert question_in(len(message).to_bytes(2) + message) == ("example.com", "A")


def test_an_answer_is_no_question() -> None:
    assert question_in(query(b"example", flags=0x8180)) is None


def test_the_root_and_cut_names_are_no_question() -> None:
    assert question_in(query()) is None
    assert question_in(query(b"example", b"com")[:20]) is None
    assert question_in(b"") is None


@given(st.binary(max_size=64))
def test_whatever_is_sent_is_no_error(message: bytes) -> None:
    question_in(struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + message)
    question_in(message)
