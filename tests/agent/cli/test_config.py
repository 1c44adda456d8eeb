# SPDX-License-Identifier: Apache-2.0
"""`tracehound config`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.config import flatten, load_settings
from agent.configuration.keys import KEYS
from tests.agent.cli.conftest import Call


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "t.yaml"
    path.write_text(
        "node_name: n1\nlog: {fsync_seconds: -1, dir: '/a b/#c'}\nenrich: {environment: [PATH, 'LC_*']}\n"
    )
    return path


def test_every_key_is_shown_with_value_and_origin(call: Call, config: Path) -> None:
    status, out, _ = call("config", "show", "--config", config, "--set", "log.group=g")
    lines = [line.split("  ") for line in out.splitlines()]
    assert status == 0
    assert [line[0] for line in lines] == list(KEYS)
    origins = {line[0]: line[-1].strip() for line in lines}
    assert origins["node_name"] == f"{config}:1"
    assert (origins["log.group"], origins["output"]) == ("flag --set", "default")


def test_a_section_or_key_can_be_asked_for(call: Call, config: Path) -> None:
    out = call("config", "show", "overload", "node_name", "--config", config)[1]
    assert [line.split()[0].partition(".")[0] for line in out.splitlines()] == ["node_name"] + 4 * [
        "overload"
    ]


def test_an_unknown_key_is_refused_with_a_suggestion(call: Call) -> None:
    status, _, err = call("config", "show", "log.dri")
    assert status == 2
    assert 'log.dri: unknown key; did you mean "log.dir"?' in err


def test_json_has_value_origin_variable_and_effect(call: Call, config: Path) -> None:
    facts = json.loads(call("config", "show", "log.dir", "-o", "json", "--config", config)[1])
    assert facts == {
        "log.dir": {
            "value": "/a b/#c",
            "origin": f"{config}:2",
            "environment": "TRACEHOUND_LOG__DIR",
            "applies": "at restart",
        }
    }


def test_shown_yaml_gives_the_same_settings(call: Call, config: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(call("config", "show", "-o", "yaml", "--config", config)[1])
    first, second = (load_settings(config=path, environ={}).settings for path in (config, again))
    assert flatten(first) == flatten(second)


def test_good_settings_are_said_to_be_good(call: Call, config: Path) -> None:
    assert call("config", "check", "--config", config) == (
        0,
        f"ok: 4 of {len(KEYS)} keys set, 1 files read\n  {config}\n",
        "",
    )
    facts = json.loads(call("config", "check", "--config", config, "-o", "json")[1])
    assert facts == {"ok": True, "files": [str(config)], "keys_set": 4}


def test_wrong_settings_are_refused_with_all_problems(call: Call, config: Path) -> None:
    config.write_text("outptu: x\nlog: {dir: x}\n")
    status, out, err = call("config", "check", "--config", config)
    assert (status, out) == (2, "")
    assert f"{config}:1: outptu: unknown key" in err
    assert f"{config}:2: log.dir: x is not an absolute path" in err


def test_rules_that_the_settings_name_are_checked(call: Call, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("- nonsense")
    (tmp_path / "t.yaml").write_text(f"redaction: {{rules: [{tmp_path}/rules.yaml]}}")
    status, _, err = call("config", "check", "--config", tmp_path / "t.yaml")
    assert (status, f"{tmp_path}/rules.yaml:1: " in err) == (2, True)
