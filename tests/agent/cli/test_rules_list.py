# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from tests.agent.cli.conftest import Call
from tests.agent.cli.rules import ID, write_rule


def test_rules_are_listed_with_level_and_techniques(tmp_path: Path, call: Call) -> None:
    status, output, _ = call("rules", "list", str(write_rule(tmp_path)))
    assert status == 0
    assert output.splitlines()[1].split() == [
        "high", "Netcat", "Runs", "A", "Shell", "linux/process_creation", "T1059.004", ID[:8],
    ]  # fmt: skip


def test_the_loudest_come_first(call: Call) -> None:
    _, output, _ = call("rules", "list", "-o", "json")
    levels = [one["level"] for one in json.loads(output)]
    assert levels == sorted(levels, key=["critical", "high", "medium", "low", "informational"].index)
