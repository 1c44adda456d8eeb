# SPDX-License-Identifier: Apache-2.0
"""The agent as a whole, seen by Prometheus and by a probe."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from agent.api.addresses import bind
from tests.e2e.support import Agent, start_agent

pytestmark = pytest.mark.root


@pytest.fixture
def port() -> int:
    """One that was free a moment ago."""
    with bind("127.0.0.1:0", "metrics.listen") as free:
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def agent(tmp_path: Path, port: int) -> Iterator[Agent]:
    running = start_agent(tmp_path, (f"metrics.listen=127.0.0.1:{port}", "metrics.labels=binary"))
    yield running
    running.stop()


def page(port: int, path: str) -> str:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        text: str = answer.read().decode()
        return text
    return ""


def test_what_runs_here_shows_on_the_page(agent: Agent, port: int) -> None:
    agent.wait(lambda: "tracehound_up 1.0" in page(port, "/metrics"), "nobody serves metrics")
    subprocess.run(["/bin/true"], check=True)
    sample = 'tracehound_events_total{binary="/bin/true",type="process_exec"}'
    agent.wait(lambda: sample in page(port, "/metrics"), "the exec is not counted")
    assert "[+] sensors: " in page(port, "/readyz")
