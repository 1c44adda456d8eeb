# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.detect.coverage import FAILED, PROVED, RULED, Needs, covered, is_kernel, layer, read_results, score
from agent.errors import UsageError
from tests.agent.detect.found import check, rule

SHELL = rule(check("Image", "endswith", "/sh"))
CRON = rule(check("Image", "endswith", "/crontab"), id="r2", title="B Rule", tags=("attack.t1053.003",))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two attacks, one of which was found, and one of a technique that no rule has."""
    attacks = [
        {"attack": "shell", "variant": "plain", "techniques": ["T1059.004"], "found": True, "rules": ["r1"]},
        {"attack": "cron", "variant": "plain", "techniques": ["T1053.003"], "found": False, "rules": []},
        {"attack": "rootkit", "variant": "plain", "techniques": ["T1014"], "found": False, "rules": []},
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"kernel": "6.12.5", "profile": "default", "attacks": attacks}))
    return path


def test_a_rule_is_proved_by_an_attack_of_its_technique_that_it_found(results: Path) -> None:
    found = covered([SHELL, CRON], {"r1": Needs(("process_creation",))}, read_results(results))
    assert [(one.technique, one.proved, one.tried) for one in found] == [
        ("T1014", (), ("rootkit",)),
        ("T1053.003", (), ("cron",)),
        ("T1059.004", ("shell",), ("shell",)),
    ]
    assert found[2].hooks == ("process_creation",) and found[0].why_not == "no rule has it"


def test_a_layer_has_a_score_for_each_technique(results: Path) -> None:
    cells = layer(covered([SHELL, CRON], {}, read_results(results)), "x")["techniques"]
    assert {one["techniqueID"]: one["score"] for one in cells} == {
        "T1014": FAILED,
        "T1053.003": FAILED,
        "T1059.004": PROVED,
    }
    assert score(covered([SHELL], {}, [])) == RULED


def test_only_what_was_proved_on_this_kernel_counts(results: Path) -> None:
    assert read_results(results, "6.1") == []
    assert len(read_results(results, "6.12")) == 3
    assert is_kernel("6.1-x", "6.1") and not is_kernel("6.12.5", "6.1")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    for path in (tmp_path / "x", tmp_path / "absent"):
        with pytest.raises(UsageError):
            read_results(path)
