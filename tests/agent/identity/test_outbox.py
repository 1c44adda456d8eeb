# SPDX-License-Identifier: Apache-2.0
"""Messages that wait for the agent."""

import orjson

from agent.identity.outbox import Outbox


def test_of_one_thing_only_the_last_word_waits() -> None:
    written: list[bytes] = []
    box = Outbox(written.append)
    for number in range(1000):
        box.put("pod a", {"n": number})
    box.put("pod b", {"n": -1})

    def write(data: bytes) -> None:
        written.append(data)
        if len(written) == 2:
            box.stop()

    box._write = write
    box.run()
    assert [orjson.loads(line)["n"] for line in written] == [999, -1]


def test_what_somebody_waits_for_goes_first() -> None:
    box = Outbox(lambda data: None)
    box.put("pod a", {"n": 1})
    box.put("starting", {"n": 2}, at_once=True)
    assert [box._next(), box._next()] == [{"n": 2}, {"n": 1}]


def test_an_agent_that_is_gone_ends_it() -> None:
    def write(data: bytes) -> None:
        raise BrokenPipeError

    box = Outbox(write)
    box.put("a", {})
    box.run()
    assert not box._waiting
