# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.cli.main import main

pytestmark = [pytest.mark.root, pytest.mark.kernel]
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - call: CALL
    syscall: KIND
    args: [{index: 0, type: int}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: ["4711"]}]
"""


def explain(directory: Path, call: str, *options: str) -> int:
    kind = str(call.startswith("sys_")).lower()
    (directory / "p.yaml").write_text(POLICY.replace("CALL", call).replace("KIND", kind))
    return main(["policy", "explain", str(directory / "p.yaml"), *options])


def test_it_tells_order_cost_and_what_the_verifier_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(tmp_path, "sys_getpgid") == 0
    shown = capsys.readouterr().out
    assert "1. integer argument 0: exact" in shown
    assert "verified: " in shown and "kernel memory: " in shown


def test_programs_get_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(tmp_path, "sys_getpgid", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    hook = told["policies"][0]["hooks"][0]
    assert told["rehearsed"] and hook["instructions"] > 1000
    assert hook["estimate"]["rejected"] < hook["estimate"]["matched"]


def test_what_cannot_work_here_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(tmp_path, "no_such_function") == 1
    shown = capsys.readouterr().out
    assert "would not be loaded here" in shown
    assert f"{tmp_path}/p.yaml:6: error:" in shown
