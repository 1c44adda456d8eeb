# SPDX-License-Identifier: Apache-2.0
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.exporting import Exporting
from agent.settings import ExportSettings
from tests.exporters.eventlog import EventLog

TEXT = "type: file\nstart: beginning\nbatch: {seconds: 0.05}\n"


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def exporting(tmp_path: Path, notices: list[str]) -> Iterator[Exporting]:
    """Exporters of a directory, over a log of four records."""
    EventLog(tmp_path / "log").execs(3)
    (tmp_path / "exporters.d").mkdir()
    made = Exporting(settings(tmp_path), str(tmp_path / "log"), notices.append)
    yield made
    made.close()


def settings(tmp_path: Path) -> ExportSettings:
    return ExportSettings(dirs=(str(tmp_path / "exporters.d"),), state_dir=str(tmp_path / "states"))


def configure(tmp_path: Path, name: str, more: str = "") -> None:
    text = f"{TEXT}path: {tmp_path}/{name}.json\n{more}"
    (tmp_path / "exporters.d" / f"{name}.yaml").write_text(text)


def tick_until(exporting: Exporting, condition: Callable[[], bool], ahead_s: float = 0.0) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, exporting.state()
        exporting.tick(time.monotonic() + ahead_s)
        time.sleep(0.02)


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def pid_of(exporting: Exporting) -> int:
    [told] = exporting.state()
    return int(told["pid"])


def test_every_file_becomes_a_process_with_the_first_tick(tmp_path: Path, exporting: Exporting) -> None:
    configure(tmp_path, "a")
    configure(tmp_path, "b")
    assert exporting.state() == []
    tick_until(exporting, lambda: lines(tmp_path / "a.json") == lines(tmp_path / "b.json") == 4)
    tick_until(exporting, lambda: not list(exporting.problems()))
    exporting.close()
    assert [told["running"] for told in exporting.state()] == [False, False]


def test_one_that_was_killed_is_started_again(
    tmp_path: Path, exporting: Exporting, notices: list[str]
) -> None:
    configure(tmp_path, "a")
    tick_until(exporting, lambda: lines(tmp_path / "a.json") == 4)
    first = pid_of(exporting)
    os.kill(first, signal.SIGKILL)
    tick_until(exporting, lambda: pid_of(exporting) not in (0, first), ahead_s=120)
    assert "exporter a was killed by signal 9" in notices[0]


def test_dead_letters_are_a_problem_until_they_are_removed(tmp_path: Path, exporting: Exporting) -> None:
    configure(tmp_path, "a")
    tick_until(exporting, lambda: lines(tmp_path / "a.json") == 4)
    letters = tmp_path / "states" / "a" / "dead.jsonl"
    letters.write_text("{}\n")
    [problem] = exporting.problems()
    assert problem == f"exporter a: refused for good: {letters}*; look at it, then remove it"
    letters.unlink()
    assert not list(exporting.problems())


def test_one_with_mistakes_waits_for_its_file_to_change(tmp_path: Path, exporting: Exporting) -> None:
    configure(tmp_path, "a", "nonsense: 1\n")
    exporting.tick(time.monotonic())
    tick_until(exporting, lambda: pid_of(exporting) == 0)
    exporting.tick(time.monotonic() + 10_000)
    assert pid_of(exporting) == 0 and next(exporting.problems()).startswith("exporter a: ")
    configure(tmp_path, "a")
    tick_until(exporting, lambda: lines(tmp_path / "a.json") == 4, ahead_s=10_000)


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ("type: file\nrequired: true\n", True),
        ("type: file\nrequired : True # keep\n", True),
        ('"required": yes\n', True),
        ('{"type": "file", "required": true}', True),
        ("{type: file, required: on}", True),
        ("# required: true\n", False),
        ("required: false\n", False),
        ("not_required: true\n", False),
    ],
)
def test_required_is_seen_however_yaml_writes_it(tmp_path: Path, text: str, required: bool) -> None:
    (tmp_path / "exporters.d").mkdir()
    (tmp_path / "exporters.d" / "siem.yaml").write_text(text)
    assert Exporting(settings(tmp_path), str(tmp_path), print).required() == {"siem": required}


def test_a_reload_starts_ends_and_restarts(tmp_path: Path, exporting: Exporting) -> None:
    for name in ("same", "changed", "gone"):
        configure(tmp_path, name)
    tick_until(
        exporting, lambda: all(lines(tmp_path / f"{n}.json") == 4 for n in ("same", "changed", "gone"))
    )
    before = {told["name"]: told["pid"] for told in exporting.state()}
    configure(tmp_path, "changed", "required: true\n")
    configure(tmp_path, "new")
    (tmp_path / "exporters.d/gone.yaml").unlink()
    told = exporting.reload(settings(tmp_path))
    assert sorted(told) == ["exporter changed: restarted", "exporter gone: ended", "exporter new: started"]
    tick_until(exporting, lambda: all(one["running"] for one in exporting.state()), ahead_s=1)
    after = {told["name"]: told["pid"] for told in exporting.state()}
    assert after["same"] == before["same"] and after["changed"] != before["changed"]
    assert exporting.required() == {"changed": True, "new": False, "same": False}


def test_without_files_there_is_nothing(exporting: Exporting) -> None:
    exporting.tick(0)
    assert exporting.state() == [] and exporting.required() == {} and not list(exporting.problems())
