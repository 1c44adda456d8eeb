# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.cli.render import RenderContext, render_event
from agent.cli.render_detection import about_text
from agent.cli.text import clean
from tests.agent.cli.incidents import detection, story

SHELL = {"exec_id": "s", "pid": 40, "binary": "/bin/bash", "arguments": "-l"}
NETCAT = {"exec_id": "n", "pid": 50, "binary": "/bin/nc", "arguments": "-e /bin/sh"}


def line(kind: str, content: dict[str, Any], *, color: bool = False) -> str:
    record = {"tracehound": {"sequence": 1, kind: content}, "time": "2026-01-01T00:00:00.5Z"}
    return render_event(record, RenderContext(color=color))


def test_a_detection_in_a_run_is_an_alarm() -> None:
    assert line("detection", detection("11-22", NETCAT, [SHELL], 1)).endswith(
        "!!! DETECTION high: Netcat Reverse Shell: 50 /bin/nc -e /bin/sh ‹ bash (story 3fa9c1d2)"
    )


@pytest.mark.parametrize(("rule", "tone"), [("11-22", "\x1b[1;97;41m"), ("33-44", "\x1b[36m")])
def test_its_colour_is_that_of_its_level(rule: str, tone: str) -> None:
    assert tone in line("detection", detection(rule, NETCAT, [SHELL], 1), color=True)


def test_a_story_says_how_it_stands() -> None:
    assert line("story", story("closed", 2, SHELL)).endswith(
        "--- story: 3fa9c1d2 is over: high, 2 detections below 40 /bin/bash -l since 01-01 00:00:04.000: "
        "Netcat Reverse Shell, Netcat Started"
    )


def test_rules_say_from_where_on_they_hold() -> None:
    content = {"loaded": 61, "refused": 1, "from_sequence": "88", "problems": ["x.yml:1: no title"]}
    assert line("rules", content).endswith(
        "--- rules: 61 loaded, 1 refused, from record 88 on: x.yml:1: no title"
    )


@pytest.mark.parametrize("content", [{}, {"rule": 3, "process": 4, "level": []}, {"ancestors": [1, {}]}])
def test_a_detection_of_another_make_is_shown_all_the_same(content: dict[str, Any]) -> None:
    assert "DETECTION" in line("detection", content) or "detection: medium" in line("detection", content)


def test_a_detection_of_a_line_shows_it_behind_the_process() -> None:
    event = {"tracehound": {"log_line": {"line": "h su[7]: x\x1b[2J"}}}
    assert about_text({"event": event}) == clean("h su[7]: x\x1b[2J") != "h su[7]: x\x1b[2J"
    process = {"pid": 7, "binary": "/bin/su"}
    assert about_text({"event": event, "process": process}).startswith("7 /bin/su: h su[7]: x")
    assert about_text({"event": {"tracehound": {"log_line": 5}}}) == about_text({"event": 5}) == ""
