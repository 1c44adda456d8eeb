# SPDX-License-Identifier: Apache-2.0
import subprocess
from pathlib import Path

import pytest

from vmtest.benchguest import Agent

LOG = b"""\
{"process_exec":{"process":{"binary":"/tiny"}}}
{"process_exit":{"process":{"binary":"/tiny"}}}
{"tracehound":{"sequence":3,"loss":{"cause":"ring_full","count":5}}}
{"process_exec":{"process":{"binary":"/other"}}}
{"process_exec":{"process":{"bin"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """An agent that has ended, and the log it left; the last line is torn."""
    (tmp_path / "1.jsonl").write_bytes(LOG)
    process = subprocess.Popen(["true"])
    process.wait()
    return Agent(process, tmp_path)


def test_events_are_told_from_own_records(agent: Agent) -> None:
    first, second, _, fourth, _ = LOG.splitlines(keepends=True)
    assert agent.events("/tiny") == (1, len(first), 3, len(first + second + fourth))


def test_events_of_one_type_are_counted(agent: Agent) -> None:
    assert agent.count("process_exec") + agent.count("process_exit") == 3


def test_reported_losses_are_summed(agent: Agent) -> None:
    assert agent.reported_lost() == 5


def test_a_torn_line_is_not_counted(agent: Agent) -> None:
    assert len(list(agent.lines())) == 4
