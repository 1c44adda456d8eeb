# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from pathlib import Path

import pytest

from exporters import file
from exporters.base import Context, Document, OptionError, TryAgain
from exporters.runner import Runner
from tests.exporters.eventlog import EventLog

DOCUMENT = Document({}, b'{"a":1}', "process_exec", 1, 7, "boot-a", "n1", "n1")


def test_the_lines_of_the_log_stand_in_the_file(
    event_log: EventLog, run_once: Callable[..., Runner], tmp_path: Path
) -> None:
    event_log.execs(50)
    run_once(type="file", path=str(tmp_path / "out.json"))
    assert (tmp_path / "out.json").read_bytes().splitlines() == event_log.lines()


def test_a_disk_that_refuses_is_tried_again(context: Callable[..., Context], tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()
    with pytest.raises(TryAgain, match="Is a directory"):
        file.open(context(path=str(tmp_path / "out.json"))).send([DOCUMENT])


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"path": "out.json"}, "path"),
        ({"path": "/nowhere/at/all"}, "path"),
        ({"path": "/tmp/x", "mode": "rw"}, "mode"),
        ({"path": "/tmp/x", "keep": -1}, "keep"),
        ({}, "path"),
    ],
)
def test_options_are_checked(context: Callable[..., Context], options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError, match=f"^{key}: "):
        file.open(context(**options))
