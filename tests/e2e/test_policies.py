# SPDX-License-Identifier: Apache-2.0
"""What policies do on this kernel: every case of tests/e2e/policies, with one agent for all of them."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cases import Case, is_part, lacks, read_cases
from tests.e2e.support import Agent, Event, start_agent

pytestmark = [pytest.mark.root, pytest.mark.kernel]
MARKER = "/bin/true"


class Station:
    """An agent whose policies are files in a directory."""

    def __init__(self, root: Path) -> None:
        self.shelf = root / "policies"
        self.shelf.mkdir()
        self.agent: Agent = start_agent(root, (f"policies.dirs={self.shelf}",))

    def load(self, case: Case, place: Path) -> Event:
        """Loads the case's policy; its record. A policy that is refused is a failure."""
        (self.shelf / f"{case.policy}.yaml").write_text(case.document(place))
        record = self._await(case.policy)
        assert record["action"] == "added", record.get("error")
        return record

    def unload(self, case: Case) -> None:
        """Takes it away again."""
        (self.shelf / f"{case.policy}.yaml").unlink()
        assert self._await(case.policy)["action"] == "deleted"

    def events(self, case: Case) -> list[Event]:
        """Everything that the policy reported until now: the log has what follows, too."""
        marker = subprocess.Popen([MARKER])
        marker.wait()
        self.agent.executed(marker.pid)
        return [record for record in self.agent.records if _policy_of(record) == case.policy]

    def _await(self, name: str) -> Event:
        known = len(self._records(name))
        self.agent.process.send_signal(signal.SIGHUP)
        self.agent.wait(lambda: len(self._records(name)) > known, f"no record of policy {name}")
        return self._records(name)[known]

    def _records(self, name: str) -> list[Event]:
        told = (record["tracehound"]["policy"] for record in self.agent.own_records("policy"))
        return [content for content in told if isinstance(content, dict) and content.get("name") == name]


def _policy_of(record: Event) -> str:
    body: Any = next(iter(record.values()))
    return str(body.get("policy_name", "")) if isinstance(body, dict) else ""


@pytest.fixture(scope="module")
def station() -> Iterator[Station]:
    with tempfile.TemporaryDirectory(prefix="e2e-agent-") as root:
        made = Station(Path(root))
        try:
            yield made
        finally:
            if made.agent.is_running:
                made.agent.stop()


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="e2e-case-") as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def shell(command: str, place: Path) -> int:
    """How it ended; negative: by a signal."""
    done = subprocess.run(["/bin/sh", "-c", command], cwd=place, timeout=120, capture_output=True)
    return done.returncode


def status_of(word: Any) -> int:
    """A number, or the name of a signal."""
    return -signal.Signals[word] if isinstance(word, str) else int(word)


@pytest.mark.parametrize("case", list(read_cases()), ids=lambda case: case.name)
def test_case(case: Case, request: pytest.FixtureRequest, place: Path) -> None:
    if reason := lacks(case.content.get("REQUIRES", [])):
        pytest.skip(reason)
    station: Station = request.getfixturevalue("station")
    before = case.text("BEFORE", place)
    assert not before or shell(before, place) == 0, before
    record = station.load(case, place)
    try:
        ended = shell(case.text("RUN", place), place)
        found = station.events(case)
    finally:
        station.unload(case)
    wanted = case.expected(place)
    missing = [event for event in wanted if not any(is_part(event, one) for one in found)]
    assert not missing, f"{missing} is not in {found}"
    assert case.content.get("ANY") or len(found) == len(wanted), found
    assert ended == status_of(case.content.get("STATUS", 0))
    if after := case.text("AFTER", place):
        assert shell(after, place) == 0, after
    if attach := case.content.get("ATTACH"):
        assert {hook["attach"] for hook in record["hooks"]} <= set(attach.split("|"))
