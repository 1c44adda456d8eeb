# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.decode.exit import EXIT, decode_exit
from agent.events import EXECED, Exit, Garbage
from tests.agent.wire import exit_record


@pytest.mark.parametrize("code", [0, 9, 0x8B, 0xFF00, 0xFFFFFFFF])
def test_an_exit_names_the_image_and_how_it_ended(code: int) -> None:
    event = decode_exit(exit_record((100, 50), (90, 40), code, at=60))
    assert event == Exit((3, EXECED, 60, 100, 100, 50, 90, 0, 40), code)


def test_every_truncated_record_is_garbage() -> None:
    raw = exit_record((100, 50))
    assert len(raw) == EXIT.size
    assert all(decode_exit(raw[:n]) == Garbage("exit record too short", n) for n in range(len(raw)))
