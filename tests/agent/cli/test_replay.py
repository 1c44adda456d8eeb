# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.rules import attacked, write_rule

POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: no-netcat}
spec:
  kprobes:
  - call: security_bprm_check
    syscall: false
    args: [{index: 0, type: linux_binprm}]
    selectors:
    - matchArgs: [{args: [0], operator: Postfix, values: [/nc]}]
      matchActions: [{action: Sigkill}]
"""


@pytest.fixture
def captured(tmp_path: Path, log: LogMaker, call: Call) -> str:
    """What `tracehound capture` wrote."""
    attacked(log)
    file = str(tmp_path / "x.jsonl")
    call("capture", "--pid", "1", "-o", file, "--log-dir", str(log.directory))
    return file


def test_rules_find_in_a_capture_what_they_would_in_the_log(
    tmp_path: Path, captured: str, call: Call
) -> None:
    status, output, _ = call("replay", "--rules", str(write_rule(tmp_path)), captured)
    assert status == 0 and output.count("Netcat Runs A Shell: ") == 3
    assert "‹ sh ‹ cron ‹ init" in output


def test_policies_are_judged_by_their_model(tmp_path: Path, captured: str, call: Call) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    status, output, _ = call("replay", "--policies", str(tmp_path / "p.yaml"), captured)
    assert status == 0 and "would: Signal SIGKILL 3" in output


def test_it_gives_the_same_whenever_it_runs(tmp_path: Path, captured: str, call: Call) -> None:
    wanted = ["replay", "--rules", str(write_rule(tmp_path)), captured, "-o", "json"]
    first, second = call(*wanted)[1], call(*wanted)[1]
    assert first == second and len(json.loads(first)["detections"]) == 3


def test_nothing_found_is_status_1_and_nothing_asked_is_refused(captured: str, call: Call) -> None:
    assert call("replay", "--rules", "tor-started", captured)[0] == 1
    assert call("replay", captured)[0] == 2
