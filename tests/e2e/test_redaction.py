# SPDX-License-Identifier: Apache-2.0
"""No secret reaches the disk, and equal secrets stay joinable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.support import Agent, begin, end

pytestmark = [pytest.mark.kernel, pytest.mark.root]

AGENT_SETTINGS = ("enrich.environment=TH_*",)
SECRET = "correct-horse-battery-51"


def execute(tiny: Path, argv: list[str], environment: dict[str, str]) -> int:
    """A child with these arguments, waited for."""
    pid = begin(lambda: os.execve(tiny, argv, environment))
    assert end(pid) == 0
    return pid


def test_a_secret_in_arguments_and_environment_is_nowhere_below_the_root(agent: Agent, tiny: Path) -> None:
    first = execute(tiny, ["tiny", "--password", SECRET, "user=me"], {"TH_DB_PASSWORD": SECRET})
    second = execute(tiny, ["tiny", f"https://me:{SECRET}@example.org/", "x" * 5000], {})
    own, other = agent.ended(first).own, agent.ended(second).own
    marker = own["arguments"][2]
    assert marker.startswith("redacted:")
    assert own["arguments"] == ["tiny", "--password", marker, "user=me"]
    assert own["environment"] == {"TH_DB_PASSWORD": marker}
    assert marker in other["arguments"][1]
    assert marker in agent.lives[first].end["process"]["arguments"]
    files = [path for path in agent.root.rglob("*") if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
