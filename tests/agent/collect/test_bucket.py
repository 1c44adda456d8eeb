# SPDX-License-Identifier: Apache-2.0
from agent.collect.bucket import Bucket


def test_what_was_taken_too_much_is_taken_less_later() -> None:
    bucket = Bucket(10)
    assert bucket.has_room(0.0)
    bucket.take(25)
    assert [bucket.has_room(at) for at in (0.5, 1.0, 1.5, 1.6)] == [False, False, False, True]


def test_a_long_silence_saves_a_second_of_lines() -> None:
    bucket = Bucket(10)
    assert bucket.has_room(0.0) and bucket.has_room(1000.0)
    bucket.take(10)
    assert not bucket.has_room(1000.0)
