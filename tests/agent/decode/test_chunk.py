# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from agent.decode.chunk import CHUNK, Chunks
from agent.decode.header import HEAD
from agent.events import Garbage, Head
from tests.agent.wire import Image, chunk_records, head

IMAGE = (100, 5)
OTHER = (101, 5)


def head_of(image: Image) -> Head:
    return Head._make(HEAD.unpack(head(1, image)))


def kept(*records: bytes) -> Chunks:
    chunks = Chunks()
    for record in records:
        assert chunks.add(record) is None
    return chunks


def test_chunks_in_order_are_joined_without_their_padding() -> None:
    area = bytes(range(256)) * 100
    records = chunk_records(IMAGE, area)
    assert len(records) == 4
    assert kept(*records).take(head_of(IMAGE), 0, 4) == (area, True)


def test_images_whose_chunks_interleave_stay_apart() -> None:
    one, two = chunk_records(IMAGE, b"a" * 20000), chunk_records(OTHER, b"b" * 20000)
    chunks = kept(*(record for pair in zip(one, two, strict=True) for record in pair))
    assert chunks.take(head_of(OTHER), 0, 3) == (b"b" * 20000, True)
    assert chunks.take(head_of(IMAGE), 0, 3) == (b"a" * 20000, True)


def test_arguments_and_environment_of_one_image_stay_apart() -> None:
    chunks = kept(*chunk_records(IMAGE, b"a" * 9000, 0), *chunk_records(IMAGE, b"e" * 9000, 1))
    assert chunks.take(head_of(IMAGE), 0, 2) == (b"a" * 9000, True)
    assert chunks.take(head_of(IMAGE), 1, 2) == (b"e" * 9000, True)


@given(st.randoms())
def test_the_order_of_arrival_does_not_matter(dice: random.Random) -> None:
    records = chunk_records(IMAGE, bytes(range(250)) * 150)
    dice.shuffle(records)
    assert kept(*records).take(head_of(IMAGE), 0, 5) == (bytes(range(250)) * 150, True)


def test_a_missing_chunk_is_told_and_the_others_are_given() -> None:
    first, _, third = chunk_records(IMAGE, b"a" * 8192 + b"b" * 8192 + b"c" * 10)
    chunks = kept(first, third)
    assert chunks.take(head_of(IMAGE), 0, 3) == (b"a" * 8192 + b"c" * 10, False)
    assert chunks.incomplete == 1


def test_when_no_chunk_came_everything_is_missing() -> None:
    assert Chunks().take(head_of(IMAGE), 0, 2) == (b"", False)


def test_a_chunk_that_comes_twice_counts_once() -> None:
    records = chunk_records(IMAGE, b"a" * 9000)
    assert kept(*records, *records).take(head_of(IMAGE), 0, 2) == (b"a" * 9000, True)


def test_chunks_are_given_once() -> None:
    chunks = kept(*chunk_records(IMAGE, b"a" * 9000))
    chunks.take(head_of(IMAGE), 0, 2)
    assert chunks.take(head_of(IMAGE), 0, 2) == (b"", False)


def test_a_later_image_of_the_same_pid_gets_nothing_of_the_earlier_one() -> None:
    chunks = kept(*chunk_records(IMAGE, b"secret" * 2000))
    assert chunks.take(head_of((IMAGE[0], IMAGE[1] + 1)), 0, 2) == (b"", False)


def test_images_whose_exec_record_never_comes_are_forgotten_oldest_first() -> None:
    chunks = Chunks()
    for pid in range(1, 66):
        chunks.add(chunk_records((pid, 5), b"a" * 10)[0])
    assert chunks.take(head_of((1, 5)), 0, 1) == (b"", False)
    assert chunks.take(head_of((2, 5)), 0, 1) == (b"a" * 10, True)


def test_memory_does_not_grow_with_exec_records_that_were_lost() -> None:
    chunks = Chunks()
    tracemalloc.start()
    for pid in range(1, 5000):
        chunks.add(chunk_records((pid, 5), b"a" * 8192)[0])
    assert tracemalloc.get_traced_memory()[0] < 2 << 20
    tracemalloc.stop()


def test_every_truncated_chunk_is_garbage() -> None:
    record = chunk_records(IMAGE, b"a" * 8192)[0]
    chunks = Chunks()
    assert all(isinstance(chunks.add(record[:length]), Garbage) for length in range(len(record)))
    assert chunks.take(head_of(IMAGE), 0, 1) == (b"", False)


def test_a_chunk_that_claims_more_than_it_has_is_garbage() -> None:
    record = bytearray(chunk_records(IMAGE, b"a" * 8192)[0])
    record[CHUNK.size - 4 : CHUNK.size] = (8193).to_bytes(4, "little")
    assert Chunks().add(bytes(record)) == Garbage("chunk record shorter than its data", len(record))
