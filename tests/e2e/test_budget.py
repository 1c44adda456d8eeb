# SPDX-License-Identifier: Apache-2.0
"""A policy that kills more often than it may in a minute only monitors from then on, and that is told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.cases import system_python
from tests.e2e.support import Event, start_agent

pytestmark = [pytest.mark.root, pytest.mark.kernel]
POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: deadly}
spec:
  kprobes:
  - call: sys_getpgid
    syscall: true
    args: [{index: 0, type: int}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: ["900077"]}]
      matchActions: [{action: Sigkill}]
"""
CALL = "import ctypes; ctypes.CDLL(None).getpgid(900077)"


def test_a_spent_kill_budget_is_an_alarm_and_kills_no_more(tmp_path: Path) -> None:
    (tmp_path / "deadly.yaml").write_text(POLICY)
    settings = (f"policies.files={tmp_path / 'deadly.yaml'}", "policies.kill_budget=2")
    agent = start_agent(tmp_path, settings)
    try:
        ended = [subprocess.run([system_python(), "-c", CALL]).returncode for _ in range(4)]
        assert ended in ([-9, -9, 0, 0], [-9, -9, -9, -9])  # a minute may have begun in between
        agent.wait(lambda: len(alarms(agent.own_records("policy"))) == ended.count(0) // 2, "no alarm")
        agent.wait(lambda: len(calls(agent.records)) >= 4, "not every call was told")
        assert len(calls(agent.records)) == 4
    finally:
        agent.process.terminate()
        agent.process.wait(60)


def calls(records: list[Event]) -> list[Event]:
    """What the policy reported."""
    return [record for record in records if "process_kprobe" in record]


def alarms(records: list[dict[str, dict[str, dict[str, str]]]]) -> list[str]:
    """Errors of the alarms among policy records."""
    found = (record["tracehound"]["policy"] for record in records)
    return [one["error"] for one in found if one.get("action") == "alarm"]
