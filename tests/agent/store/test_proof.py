# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.store.proof import comes_back, is_text
from agent.store.split import middle_of
from tests.agent.store.support import golden_lines

LINE = next(line for line in golden_lines() if line.startswith('{"process_exit"')).encode()


def test_lines_of_the_encoder_come_back() -> None:
    events = [line.encode(errors="surrogateescape") for line in golden_lines() if line[:3] == '{"p']
    assert all(comes_back(line, middle_of(line)) for line in events) and len(events) > 50


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"sequence":', b'"sequence":0'),
        (b'"time":"20', b'"time":"\x0120'),
        (b'},"parent"', b'}x"parent"'),
        (b'"ancestry":["', b'"ancestry":["\\u0041'),
        (b'Z","tracehound"', b'z","tracehound"'),
    ],
)
def test_what_the_columns_would_change_does_not(old: bytes, new: bytes) -> None:
    assert old in LINE and not comes_back(LINE.replace(old, new), middle_of(LINE))


def test_text_is_utf_8() -> None:
    assert is_text("ü".encode()) and not is_text(b"\xff")
