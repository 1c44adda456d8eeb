# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.collect.opened import Spot
from agent.collect.place import NAME, NOWHERE, Place, load, save

PLACE = Place({"/var/log/a": Spot(1, 2, 3, "6162")}, frozenset(("/var/log/a", "/var/log/b")), "s=1;i=2")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert load(tmp_path) == NOWHERE
    save(tmp_path, PLACE)
    assert load(tmp_path) == PLACE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"files":1,"paths":[],"cursor":""}',
        '{"files":{"a":[1]},"paths":[],"cursor":""}',
        '{"files":{"a":[1,2,-3,""]},"paths":[],"cursor":""}',
        '{"files":{"a":[1,2,3,"x"]},"paths":[],"cursor":""}',
        '{"files":{"a":[1,2,3,4]},"paths":[],"cursor":""}',
    ],
)
def test_what_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(ValueError):
        load(tmp_path)
