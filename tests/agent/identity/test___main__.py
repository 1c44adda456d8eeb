# SPDX-License-Identifier: Apache-2.0
"""The process."""

import resource
import subprocess
import sys
from pathlib import Path

from agent.identity.__main__ import MOST_MEMORY, OOM_SCORE
from agent.identity.options import Options
from tests.kube.talk import Conversation

ROOT = Path(__file__).resolve().parents[3]


def test_it_ends_with_the_agent() -> None:
    assert Conversation(Options(runtimes=False)).close() == 0


def test_it_goes_before_the_agent_when_memory_runs_out_and_leaves_no_core() -> None:
    child = Conversation(Options(runtimes=False))
    child.health(lambda told: True)
    pid = child.process.pid
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == str(OOM_SCORE)
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] <= MOST_MEMORY
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
    assert child.close() == 0


def test_it_says_who_starts_it() -> None:
    command = [sys.executable, "-m", "agent.identity", "[]"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert ended.returncode == 2 and b"started by the agent" in ended.stderr


def test_without_kubernetes_nothing_of_its_client_is_loaded() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "agent.identity", '{"runtimes":true}']
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert b"urllib3" not in ended.stderr and b"grpclib" not in ended.stderr
