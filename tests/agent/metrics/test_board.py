# SPDX-License-Identifier: Apache-2.0
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.log.times import format_time
from agent.metrics import board as module
from agent.metrics.board import Board
from agent.metrics.probes import is_alive, is_ready
from tests.agent.metrics.support import STATE, values

POLICIES: dict[str, Any] = {"policies": []}


class Answers:
    """The agent, as the link gives it."""

    def __init__(self, state: Any = None) -> None:
        self.state = state
        self.asked: list[str] = []

    def ask(self, request: str) -> Any:
        self.asked.append(request)
        return self.state if request == "status" or self.state is None else POLICIES


def board(directory: Path, answers: Answers) -> Any:
    return Board(str(directory), answers, None)  # type: ignore[arg-type]


def written(directory: Path, ago_s: float) -> None:
    state = {**STATE, "updated": format_time(time.time_ns() - int(ago_s * 1e9))}
    (directory / "status.json").write_bytes(orjson.dumps(state))


def test_the_agents_answer_is_shown(tmp_path: Path) -> None:
    found = board(tmp_path, Answers(STATE)).families()
    assert values(found, "up") == {(): 1}
    assert values(found, "events_written") == {"process_exec": 5}
    assert values(found, "policies") == {}


def test_many_scrapers_are_one_question(tmp_path: Path) -> None:
    answers = Answers(STATE)
    shown = board(tmp_path, answers)
    for _ in range(20):
        shown.families()
    assert answers.asked == ["status", "policies"]


def test_an_answer_is_not_used_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH_S", -1)
    answers = Answers(STATE)
    shown = board(tmp_path, answers)
    shown.findings()
    shown.findings()
    assert answers.asked.count("status") == 2


def test_an_agent_that_is_busy_is_judged_by_its_file(tmp_path: Path) -> None:
    written(tmp_path, ago_s=4)
    shown = board(tmp_path, Answers())
    assert is_ready(shown.findings())
    assert values(shown.families(), "up") == {(): 0}


def test_one_whose_file_is_old_is_dead(tmp_path: Path) -> None:
    written(tmp_path, ago_s=500)
    assert not is_alive(board(tmp_path, Answers()).findings())


@pytest.mark.parametrize("text", [b"", b"[]", b'{"updated": 7}', b"{}"])
def test_a_file_that_tells_nothing_is_no_state(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "status.json").write_bytes(text)
    assert not is_alive(board(tmp_path, Answers()).findings())
