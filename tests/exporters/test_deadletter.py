# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import orjson
import pytest

from exporters.base import Document
from exporters.deadletter import DeadLetters

DOCUMENT = Document({}, b'{"a":1}', "process_exec", 1, 7, "boot-a", "n1", "n1")


def test_a_refused_document_is_kept_with_its_reason(tmp_path: Path) -> None:
    DeadLetters(tmp_path, 1 << 20).write([(DOCUMENT, "HTTP 400: no")], 10**18)
    letter = orjson.loads((tmp_path / "dead.jsonl").read_bytes())
    assert letter == {
        "reason": "HTTP 400: no",
        "time": "2001-09-09T01:46:40.000000000Z",
        "uid": "n1/boot-a/7",
        "type": "process_exec",
        "body": '{"a":1}',
    }
    assert (tmp_path / "dead.jsonl").stat().st_mode & 0o777 == 0o600


def test_the_oldest_half_makes_room(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path, 4096)
    for _ in range(100):
        letters.write([(DOCUMENT, "no")], 0)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 2048 < size <= 4096 and letters.dropped > 0


@pytest.mark.root
def test_a_full_disk_leaves_no_half_letter(small_disk: Path) -> None:
    letters = DeadLetters(small_disk, 1 << 30)
    with pytest.raises(OSError, match="No space"):
        for _ in range(1000):
            letters.write([(DOCUMENT._replace(body=b"x" * 5000), "no")], 0)
    assert all(orjson.loads(line) for line in (small_disk / "dead.jsonl").read_bytes().splitlines())
