# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

import pytest

from agent.cli.color import PLAIN
from agent.cli.main import main
from agent.cli.policy_list import report
from tests.agent.api.support import Agent

HOOK: dict[str, Any] = {
    "function": "tcp_connect",
    "attach": "fentry",
    "target": "tcp_connect",
    "is_attached": True,
    "missed": 0,
    "selectors": [
        {"label": "far", "position": 0, "counts": {"matched": 1200, "posted": 1000, "lost": 200}},
        {"label": "", "position": 1, "counts": {}},
    ],
}
POLICY: dict[str, Any] = {
    "name": "p",
    "namespace": "",
    "state": "enabled",
    "mode": "monitor",
    "error": "",
    "memory_bytes": 65536,
    "survives_restart": True,
    "hooks": [HOOK],
    "missing": [],
    "warnings": [],
}


def lines(**changes: Any) -> list[str]:
    return report({"policies": [{**POLICY, **changes}], "unread": []}, PLAIN)


def test_a_policy_its_hooks_and_selectors_that_matched() -> None:
    assert lines() == [
        "p  enabled, monitor, 64.0 KiB",
        "    tcp_connect  fentry tcp_connect",
        "        far: 1,200 matched: 1,000 posted, 200 LOST",
    ]


def test_what_was_held_back_is_told() -> None:
    selector = {"label": "", "position": 0, "counts": {"matched": 3, "protected": 2}}
    held = "        selector 0: 3 matched: 2 held back from protected processes"
    assert lines(hooks=[{**HOOK, "selectors": [selector]}])[-1] == held


def test_what_does_not_run_says_why() -> None:
    found = lines(state="load_error", error="a\nb", hooks=[], namespace="ns")
    assert found == ["ns/p  load error, monitor", "    a", "    b"]


def test_a_reason_that_several_share_is_told_once() -> None:
    no = "cannot be hooked here: no fentry: refused"
    failed = [
        {**POLICY, "name": name, "state": "load_error", "hooks": [], "error": f"{name}.yaml:3: f {no}"}
        for name in "ab"
    ]
    assert report({"policies": failed, "unread": []}, PLAIN) == [
        *("a  load error, monitor", "    a.yaml:3: f cannot be hooked here [1]"),
        *("b  load error, monitor", "    b.yaml:3: f cannot be hooked here [1]"),
        "[1] cannot be hooked here: no fentry: refused",
    ]


def test_trouble_with_a_hook_is_conspicuous() -> None:
    found = lines(hooks=[{**HOOK, "is_attached": False, "missed": 3, "selectors": []}], missing=["f"])
    assert found[1:] == [
        "    tcp_connect  fentry tcp_connect DETACHED, 3 calls missed",
        "    f: not on this kernel",
    ]


def test_files_without_policies_are_named() -> None:
    told = {"policies": [], "unread": [{"source": "x.yaml", "error": "no YAML"}]}
    assert report(told, PLAIN) == ["unreadable x.yaml: no YAML"]
    assert report({"policies": [], "unread": []}, PLAIN) == ["no policies"]


def test_programs_get_everything(answering: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    answering.policies = {"policies": [POLICY], "unread": []}
    assert main(["policy", "list", "-o", "json", "--socket", answering.path]) == 0
    assert json.loads(capsys.readouterr().out) == answering.policies
