# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.incidents import incident


@pytest.fixture
def log(tmp_path: Path) -> LogMaker:
    return incident(tmp_path / "log")


@pytest.fixture
def asked(call: Call, log: LogMaker) -> Any:
    """Calls `detections` over the incident."""

    def ask(*arguments: Any) -> tuple[int, list[str]]:
        status, out, _ = call(
            "detections", "--log-dir", log.directory, "--since", "2026-01-01T00:00:00Z", *arguments
        )
        return status, out.splitlines()

    return ask


def test_a_detection_is_one_line_with_rule_process_lineage_and_story(asked: Any) -> None:
    status, (line, _) = asked()
    assert status == 0
    assert " ".join(line.split()) == (
        "01-01 00:00:04.000 high Netcat Reverse Shell 3fa9c1d2 50 /bin/nc -e /bin/sh ‹ bash ‹ sshd ‹ systemd"
    )


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--level", "high"), 1),
        (("--rule", "started"), 2),  # all rules that matched the event count, not the first alone
        (("--rule", "11-22"), 2),
        (("--rule", "curl"), 0),
        (("--pid", 30), 2),
        (("--pid", 31), 0),
        (("--story", "3FA9"), 2),
        (("--story", "4"), 0),
        (("--until", "2026-01-01T00:00:03Z"), 0),
        (("-n", 1), 1),
    ],
)
def test_filters_must_all_hold(asked: Any, arguments: tuple[Any, ...], count: int) -> None:
    status, lines = asked(*arguments)
    assert (len(lines), status) == (count, 0 if count else 1)


def test_json_is_the_line_of_the_log(asked: Any, log: LogMaker) -> None:
    lines = b"".join(path.read_bytes() for path in log.directory.glob("*.jsonl")).splitlines()
    written = [json.loads(line) for line in lines]
    _, told = asked("-o", "json")
    assert [json.loads(line) for line in told] == [
        record for record in written if "detection" in record["tracehound"]
    ]


def test_old_ones_are_shown_when_they_are_asked_for(call: Call, log: LogMaker) -> None:
    status, output, errors = call("detections", "--log-dir", log.directory)
    assert (status, output) == (1, "") and "no detection of this kind in the last day" in errors


def test_a_log_that_is_not_there_is_an_error(call: Call, tmp_path: Path) -> None:
    status, out, err = call("detections", "--log-dir", tmp_path / "none")
    assert status and not out and "cannot read the log" in err


def test_what_a_process_calls_itself_stays_on_its_line(call: Call, tmp_path: Path) -> None:
    log = LogMaker(tmp_path / "log")
    process = {"exec_id": "e", "pid": 5, "binary": "/tmp/\x1b[2J\nx", "arguments": "a\rb"}
    log.own("detection", {"id": "1", "level": 3, "rule": "\x1b]0;x", "process": process}, 1)
    _, out, _ = call("detections", "--log-dir", log.directory, "--since", "2026-01-01T00:00:00Z")
    assert out.count("\n") == 1 and "\x1b" not in out and "\\e[2J\\nx a\\rb" in out
