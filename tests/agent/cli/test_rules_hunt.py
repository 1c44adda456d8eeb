# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.rules import ID, attacked, told, write_rule
from tests.agent.store.support import compact_all

EXCEPTION = f"""
- {{name: x, rules: [{ID}], owner: a, reason: x, expires: 2099-01-01, when: {{Ancestors: /usr/sbin/cron}}}}
"""


@pytest.fixture
def hunted(tmp_path: Path, log: LogMaker) -> list[str]:
    """Arguments of a hunt over a compacted segment and live lines."""
    attacked(log)
    log.segment(at=20)
    compact_all(log.directory)
    attacked(log)
    return ["rules", "hunt", str(write_rule(tmp_path)), "--log-dir", str(log.directory)]


def test_what_would_have_been_found_is_shown_with_who_started_it(hunted: list[str], call: Call) -> None:
    status, output, _ = call(*hunted)
    lines = output.splitlines()
    assert status == 0 and lines[-1].split(None, 1) == ["6", "Netcat Runs A Shell"]
    assert "Netcat Runs A Shell: 52 /usr/bin/nc" in lines[0] and "‹ sh ‹ cron ‹ init" in lines[0]


def test_it_says_what_the_agent_would_have_written(tmp_path: Path, log: LogMaker, call: Call) -> None:
    attacked(log)
    rule = write_rule(tmp_path)
    ids = told(log, rule)
    _, output, _ = call("rules", "hunt", str(rule), "--log-dir", str(log.directory), "-o", "json")
    answer = json.loads(output)
    assert [one["id"] for one in answer["detections"]] == ids
    assert answer["counts"] == {ID: 3} and "period" in answer


def test_period_and_limit_count(hunted: list[str], call: Call) -> None:
    _, output, _ = call(*hunted, "--until", "2026-01-01T00:00:03Z", "--limit", "1")
    assert "… 1 more; --limit shows more" in output


def test_exceptions_are_left_out(hunted: list[str], tmp_path: Path, call: Call) -> None:
    (tmp_path / "exceptions").write_text(EXCEPTION)
    _, output, _ = call(*hunted, "--exceptions", str(tmp_path / "exceptions"))
    assert output.splitlines()[-1].split(None, 1) == ["2", "Netcat Runs A Shell"]


@pytest.mark.parametrize(
    ("period", "said"),
    [
        (["--since", "2025-12-01T00:00:00Z"], "the log begins at"),
        (["--since", "2025-12-01T00:00:00Z", "--until", "2025-12-02T00:00:00Z"], "the log begins at"),
        (["--since", "2026-02-01T00:00:00Z"], "the log ends at"),
    ],
)
def test_a_period_that_the_log_does_not_cover_is_told(
    hunted: list[str], call: Call, period: list[str], said: str
) -> None:
    assert said in call(*hunted, *period)[2]
    assert not call(*hunted, "--since", "2026-01-01T00:00:02Z")[2]
