# SPDX-License-Identifier: Apache-2.0
"""Frames of NRI: whole, in pieces, and hostile."""

from __future__ import annotations

import random
import struct

import pytest

from agent.identity.mux import (
    LONGEST,
    PLUGIN,
    REQUEST,
    RESPONSE,
    RUNTIME,
    BadFrame,
    Incoming,
    Message,
    encode,
)

MESSAGES = [
    Message(PLUGIN, 1, REQUEST, b""),
    Message(RUNTIME, 1, RESPONSE, b"x" * 9000),
    Message(PLUGIN, 4294967295, REQUEST, bytes(range(256))),
]
BYTES = b"".join(map(encode, MESSAGES))


def test_a_frame_is_as_the_sources_of_nri_and_ttrpc_say() -> None:
    written = encode(Message(RUNTIME, 1, REQUEST, b"hello"))
    assert written.hex() == "000000020000000f00000005000000010100" + b"hello".hex()


@pytest.mark.parametrize("step", [1, 7, 8, 4096, len(BYTES)])
def test_messages_come_whole_however_the_socket_cuts_them(step: int) -> None:
    incoming = Incoming()
    found = [one for at in range(0, len(BYTES), step) for one in incoming.take(BYTES[at : at + step])]
    assert found == MESSAGES


def test_a_message_in_many_frames_between_those_of_the_other_connection_is_put_together() -> None:
    inner = encode(Message(PLUGIN, 3, REQUEST, b"long" * 5000))[8:]
    other = encode(Message(RUNTIME, 1, RESPONSE, b""))
    pieces = [
        struct.pack(">II", PLUGIN, len(inner[at : at + 4096])) + inner[at : at + 4096]
        for at in range(0, len(inner), 4096)
    ]
    found = list(Incoming().take(other.join(pieces)))
    assert found[-1] == Message(PLUGIN, 3, REQUEST, b"long" * 5000) and len(found) == len(pieces)


def test_a_connection_of_a_later_version_is_passed_over() -> None:
    assert list(Incoming().take(encode(Message(9, 1, REQUEST, b"x")) + BYTES)) == MESSAGES


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", PLUGIN, 0xFFFFFFFF),
        struct.pack(">II", PLUGIN, LONGEST + 11),
        struct.pack(">IIIIBB", PLUGIN, 10, LONGEST + 1, 1, 1, 0),
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_a_length_that_nobody_may_say_is_refused_before_it_is_waited_for(data: bytes) -> None:
    with pytest.raises(BadFrame, match="bytes"):
        list(Incoming().take(data))


def test_noise_makes_messages_or_is_refused_and_never_more_bytes_than_came() -> None:
    noise = random.Random(5)
    for _ in range(2000):
        data = noise.choice((b"\0\0\0\1\0\0\0", b"\0\0\0\2\0\0\1")) + noise.randbytes(noise.randrange(400))
        try:
            found = list(Incoming().take(data))
        except BadFrame:
            continue
        assert sum(len(one.content) for one in found) < len(data)
