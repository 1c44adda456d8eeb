# SPDX-License-Identifier: Apache-2.0
"""A cgroup that has more events than it may: what is held back is counted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.cases import system_python
from tests.e2e.support import start_agent

pytestmark = [pytest.mark.root, pytest.mark.kernel]
CALLS, RATE = 500, 5
POLICY = """
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: busy}
spec:
  kprobes:
  - call: sys_getpgid
    syscall: true
    args: [{index: 0, type: int}]
    selectors: [{matchArgs: [{index: 0, operator: Equal, values: ["1"]}]}]
"""


def test_a_busy_cgroup_is_throttled_and_nothing_goes_uncounted(tmp_path: Path) -> None:
    (tmp_path / "busy.yaml").write_text(POLICY)
    settings = (f"policies.files={tmp_path / 'busy.yaml'}", f"policies.cgroup_rate={RATE}")
    agent = start_agent(tmp_path, settings)
    try:
        calls = f"import os; [os.getpgid(1) for _ in range({CALLS})]"
        subprocess.run([system_python(), "-c", calls], check=True)
        agent.wait(lambda: agent.own_records("throttle"), "no throttle record")
        agent.wait(lambda: agent.losses(), "nothing counted")
        posted = [record for record in agent.records if "process_kprobe" in record]
        held = sum(loss["count"] for loss in agent.losses() if loss["cause"] == "throttled")
        assert len(posted) + held == CALLS
        assert len(posted) < CALLS
        assert agent.own_records("throttle")[0]["tracehound"]["throttle"]["type"] == "THROTTLE_START"
    finally:
        agent.process.terminate()
        agent.process.wait(60)
