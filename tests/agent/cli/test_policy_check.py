# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.cli.main import main

POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - {call: CALL, syscall: true, args: [{index: 0, type: int}]}
"""


def check(directory: Path, text: str, *options: str) -> int:
    (directory / "p.yaml").write_text(text)
    return main(["policy", "check", str(directory / "p.yaml"), *options])


@pytest.mark.root
@pytest.mark.kernel
def test_a_good_file_is_ok_and_tells_its_hooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, POLICY.replace("CALL", "sys_getpgid")) == 0
    assert capsys.readouterr().out.startswith("ok p: ")


def test_every_mistake_is_shown_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, POLICY.replace("index: 0", "indx: 0").replace("metadata", "metdata")) == 1
    shown = capsys.readouterr().out
    assert f"{tmp_path}/p.yaml:3: error:" in shown and f"{tmp_path}/p.yaml:6: error:" in shown
    assert "index" in shown and "metadata" in shown


def test_programs_get_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, "kind: Pod", "-o", "json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert {problem["line"] for problem in told["problems"]} == {1}


def test_a_call_without_files_is_wrong() -> None:
    assert main(["policy", "check"]) == 2
