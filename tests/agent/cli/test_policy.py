# SPDX-License-Identifier: Apache-2.0
"""`tracehound policy` asks the agent in front of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.main import main
from tests.agent.api.support import Agent


def policy(*arguments: str) -> int:
    return main(["policy", *arguments])


def test_add_sends_the_text_with_its_mode(answering: Agent, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("kind: TracingPolicy\n")
    file = str(tmp_path / "p.yaml")
    assert policy("add", file, "--mode", "monitor", "--socket", answering.path) == 0
    assert answering.questions == [
        {"request": "policy_add", "text": "kind: TracingPolicy\n", "mode": "monitor"},
    ]


def test_a_refused_policy_is_shown_with_the_way_out(
    answering: Agent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.yaml").write_text("kind: Pod\n")
    answering.policies = {
        "error": "<api>:1: Pod is no kind",
        "code": "invalid",
        "hint": "write TracingPolicy",
    }
    assert policy("add", str(tmp_path / "p.yaml"), "--socket", answering.path) == 1
    shown = capsys.readouterr().err
    assert f"{tmp_path / 'p.yaml'}:1: Pod is no kind" in shown and "hint: write TracingPolicy" in shown


def test_names_may_have_a_namespace(answering: Agent) -> None:
    assert policy("delete", "a", "ns/b", "--socket", answering.path) == 0
    assert [question["key"] for question in answering.questions] == ["a", "ns/b"]


def test_one_that_fails_does_not_keep_the_others_from_being_done(
    answering: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    answering.policies = {"error": "no policy", "code": "unknown", "hint": "list"}
    assert policy("disable", "a", "b", "--socket", answering.path) == 1
    assert [question["key"] for question in answering.questions] == ["a", "b"]
    assert capsys.readouterr().err.count("no policy") == 2


def test_enable_disable_and_set_mode_configure(answering: Agent) -> None:
    policy("enable", "a", "--socket", answering.path)
    policy("disable", "a", "--socket", answering.path)
    policy("set-mode", "a", "enforce", "--socket", answering.path)
    details = [{**question, "request": ""} for question in answering.questions]
    assert details == [
        {"request": "", "key": "a", "enable": True},
        {"request": "", "key": "a", "enable": False},
        {"request": "", "key": "a", "mode": "enforce"},
    ]


def test_disable_all_asks_for_each(answering: Agent) -> None:
    answering.policies = {"policies": [{"name": "a", "namespace": ""}, {"name": "b", "namespace": "ns"}]}
    assert policy("disable", "--all", "--socket", answering.path) == 0
    assert [question.get("key") for question in answering.questions] == [None, "a", "ns/b"]


def test_offline_needs_no_agent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "pins"
    (place / "hooks" / "lsm" / "file_open").mkdir(parents=True)
    (place / "hooks" / "lsm" / "file_open" / "link").touch()
    (place / "processes_v2").touch()
    (place / "base" / "v3" / "fork").mkdir(parents=True)
    (place / "base" / "v3" / "fork" / "link").touch()
    (place / "base" / "v3" / "counters").touch()
    assert policy("disable", "--all", "--offline", "--set", f"kernel.pin_dir={place}") == 0
    said = capsys.readouterr().out
    assert "lsm file_open: detached\n1 hooks" in said
    assert "fork: detached; nothing follows processes any more" in said
    assert "processes_v2: forgotten" in said
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("wrong", [["disable"], ["disable", "a", "--all"], ["disable", "a", "--offline"], []])
def test_a_call_that_makes_no_sense_is_told_so(wrong: list[str]) -> None:
    assert policy(*wrong) == 2


def test_without_an_agent_the_status_is_7(tmp_path: Path) -> None:
    assert policy("list", "--socket", str(tmp_path / "none")) == 7


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert policy("--help") == 0
    assert "tracehound policy check" in capsys.readouterr().out
