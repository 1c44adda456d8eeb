# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call
from tests.agent.cli.rules import ID, write_rule


@pytest.fixture
def covered(tmp_path: Path) -> list[str]:
    """One rule, and an attack that it found."""
    attack = {
        "attack": "shell",
        "variant": "plain",
        "techniques": ["T1059.004"],
        "found": True,
        "rules": [ID],
    }
    results = {"kernel": "6.12.5", "profile": "default", "attacks": [attack]}
    (tmp_path / "results.json").write_text(json.dumps(results))
    return ["rules", "coverage", str(write_rule(tmp_path)), "--results", str(tmp_path / "results.json")]


def test_a_table_of_technique_rule_hook_and_proof(covered: list[str], call: Call) -> None:
    status, output, _ = call(*covered)
    assert status == 0
    assert output.splitlines()[1].split() == [
        "T1059.004", "high", "Netcat", "Runs", "A", "Shell", "exec", "shell",
    ]  # fmt: skip
    assert "1 techniques with a rule, 1 of them proved by an attack" in output


def test_a_layer_for_the_navigator(covered: list[str], call: Call) -> None:
    _, output, _ = call(*covered, "-o", "navigator")
    assert [one["techniqueID"] for one in json.loads(output)["techniques"]] == ["T1059.004"]


def test_a_kernel_on_which_nothing_was_tried_is_told(covered: list[str], call: Call) -> None:
    status, _, errors = call(*covered, "--kernel", "5.10")
    assert status == 2 and "no attack was played on kernel 5.10" in errors


def test_without_results_nothing_is_proved(covered: list[str], call: Call) -> None:
    _, output, _ = call(*covered[:3])
    assert "no results of attacks" in output
