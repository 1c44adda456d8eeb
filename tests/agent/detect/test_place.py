# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.detect.place import Place, PlaceFile
from agent.log.entry import Cursor
from agent.log.followers import read_followers

CURSOR = Cursor("1767225600000-000000000001.jsonl", 90, 4)
PLACE = Place(CURSOR, {"stories": [], "hits": 2})


def test_a_place_that_was_saved_is_loaded(tmp_path: Path) -> None:
    file = PlaceFile(tmp_path, settle_s=0)
    assert file.load() is None
    file.note(PLACE.encode(), 5.0)
    file.save(5.0)
    assert file.load() == PLACE and not file.is_waiting


def test_it_is_saved_once_what_it_stands_for_is_on_disk(tmp_path: Path) -> None:
    file = PlaceFile(tmp_path, settle_s=2)
    file.note(PLACE.encode(), 5.0)
    file.note(Place(CURSOR._replace(offset=180), {}).encode(), 6.0)
    file.save(6.9)
    assert file.load() is None
    file.save(7.0)
    assert file.load() == PLACE and file.is_waiting


def test_retention_reads_it_as_any_followers_place(tmp_path: Path) -> None:
    file = PlaceFile(tmp_path, settle_s=0)
    file.note(PLACE.encode(), 0.0)
    file.save(0.0)
    assert [one.place for one in read_followers(tmp_path.parent, {tmp_path.name: True})] == [CURSOR]


@pytest.mark.parametrize("content", [b"nonsense\n{}", b"\n{", b"a:1:2\n[]", str(CURSOR).encode() + b"\n[]"])
def test_a_damaged_one_is_said_to_be(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cursor").write_bytes(content)
    with pytest.raises(ValueError):
        PlaceFile(tmp_path, settle_s=0).load()
