# SPDX-License-Identifier: Apache-2.0
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.detecting import Detecting, has_rules
from agent.log.records import SegmentFacts
from agent.log.writer import LogWriter
from agent.settings import DetectSettings, LogSettings

FACTS = SegmentFacts("n1", "boot-a", "", "6.1", "0.1.0")


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    """A log that is written to."""
    made = LogWriter(LogSettings(dir=str(tmp_path / "log"), fsync_seconds=0), FACTS)
    made.open()
    yield made
    made.close("test")


def settings(tmp_path: Path, **more: object) -> DetectSettings:
    fields = {"dirs": (str(tmp_path / "rules.d"),), "exceptions": (), "state_dir": str(tmp_path / "detect")}
    return DetectSettings(**{**fields, **more})  # type: ignore[arg-type]  # the test's own words


def test_there_are_rules_where_a_file_may_hold_some(tmp_path: Path) -> None:
    below = tmp_path / "rules.d" / "linux"
    below.mkdir(parents=True)
    (below / "README.md").write_text("")
    assert not has_rules(settings(tmp_path))
    (below / "one.yml").write_text("")
    assert has_rules(settings(tmp_path))
    assert has_rules(DetectSettings(dirs=(), library=True)) and has_rules(DetectSettings(rules=("/x",)))


def test_without_rules_no_process_is_started(tmp_path: Path, log: LogWriter, notices: list[str]) -> None:
    detecting = Detecting(settings(tmp_path), str(tmp_path / "log"), notices.append)
    detecting.open(log)
    detecting.tick(time.monotonic())
    assert not detecting.state()["running"] and not list(detecting.problems())
    assert (detecting.follower(), detecting.summary(), notices) == ([], {}, [])
    detecting.close()
