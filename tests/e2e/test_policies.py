# SPDX-License-Identifier: Apache-2.0
"""What policies do on this kernel: every case of tests/e2e/policies, with one agent for all of them and the
policies of a file of cases at once."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cases import Case, is_part, lacks, read_cases
from tests.e2e.support import Agent, Event, start_agent

pytestmark = [pytest.mark.root, pytest.mark.kernel]
MARKER = "/bin/true"


class Station:
    """An agent whose policies are files in a directory: those of all chosen cases of one file of cases at a
    time, because every change takes an emulated CPU seconds."""

    def __init__(self, root: Path) -> None:
        self.shelf = root / "policies"
        self.shelf.mkdir()
        self.agent: Agent = start_agent(root, (f"policies.dirs={self.shelf}",))
        self.places: dict[str, Path] = {}
        """Directories of the cases that are there now, by policy."""
        self._made: list[tempfile.TemporaryDirectory[str]] = []

    def enter(self, cases: Sequence[Case]) -> None:
        """Prepares and loads these instead of those that are there."""
        if self.places.keys() == {case.policy for case in cases}:
            return
        self.leave()
        for case in cases:
            self._made.append(tempfile.TemporaryDirectory(prefix="e2e-case-", ignore_cleanup_errors=True))
            place = self.places[case.policy] = Path(self._made[-1].name).resolve()
            place.chmod(0o755)
            if before := case.text("BEFORE", place):
                assert shell(before, place) == 0, before
            (self.shelf / f"{case.policy}.yaml").write_text(case.document(place))
        self._change()

    def leave(self) -> None:
        """Takes all policies away again."""
        if not self.places:
            return
        for path in self.shelf.iterdir():
            path.unlink()
        self._change()
        self.places.clear()
        while self._made:
            self._made.pop().cleanup()

    def record(self, case: Case) -> Event:
        """The last record of the case's policy."""
        return self._records(case.policy)[-1]

    def events(self, case: Case) -> list[Event]:
        """Everything that the policy reported of its own case until now: the log has what follows, too."""
        marker = subprocess.Popen([MARKER])
        marker.wait()
        self.agent.executed(marker.pid)
        place = str(self.places[case.policy])
        found = [record for record in self.agent.records if _policy_of(record) == case.policy]
        return [record for record in found if _process_of(record).get("cwd") == place]

    def _change(self) -> None:
        known = {policy: len(self._records(policy)) for policy in self.places}
        self.agent.process.send_signal(signal.SIGHUP)
        self.agent.wait(
            lambda: all(len(self._records(policy)) > count for policy, count in known.items()),
            f"no records of {sorted(known)}",
        )

    def _records(self, name: str) -> list[Event]:
        told = (record["tracehound"]["policy"] for record in self.agent.own_records("policy"))
        return [content for content in told if isinstance(content, dict) and content.get("name") == name]


def _policy_of(record: Event) -> str:
    body: Any = next(iter(record.values()))
    return str(body.get("policy_name", "")) if isinstance(body, dict) else ""


def _process_of(record: Event) -> Event:
    process: Event = next(iter(record.values()))["process"]
    return process


@pytest.fixture(scope="module")
def station() -> Iterator[Station]:
    with tempfile.TemporaryDirectory(prefix="e2e-agent-") as root:
        made = Station(Path(root))
        try:
            yield made
        finally:
            if made.agent.is_running:
                made.leave()
                made.agent.stop()


def shell(command: str, place: Path) -> int:
    """How it ended; negative: by a signal."""
    done = subprocess.run(["/bin/sh", "-c", command], cwd=place, timeout=120, capture_output=True)
    return done.returncode


def status_of(word: Any) -> int:
    """A number, or the name of a signal."""
    return -signal.Signals[word] if isinstance(word, str) else int(word)


def chosen(request: pytest.FixtureRequest, file: str) -> list[Case]:
    """Cases of a file that this run of pytest wants and this kernel can run."""
    items = (getattr(item, "callspec", None) for item in request.session.items)
    params = [spec.params["case"] for spec in items if spec and "case" in spec.params]
    cases = [case for case in params if isinstance(case, Case) and case.file == file]
    return [case for case in cases if not lacks(case.content.get("REQUIRES", []))]


@pytest.mark.parametrize("case", list(read_cases()), ids=lambda case: case.name)
def test_case(case: Case, request: pytest.FixtureRequest) -> None:
    if reason := lacks(case.content.get("REQUIRES", [])):
        pytest.skip(reason)
    station: Station = request.getfixturevalue("station")
    station.enter(chosen(request, case.file))
    record, place = station.record(case), station.places[case.policy]
    assert record["action"] == "added", record
    ended = shell(case.text("RUN", place), place)
    found = station.events(case)
    wanted = case.expected(place)
    missing = [event for event in wanted if not any(is_part(event, one) for one in found)]
    assert not missing, f"{missing} is not in {found}"
    assert case.content.get("ANY") or len(found) == len(wanted), found
    assert ended == status_of(case.content.get("STATUS", 0))
    if after := case.text("AFTER", place):
        assert shell(after, place) == 0, after
    if attach := case.content.get("ATTACH"):
        assert {hook["attach"] for hook in record["hooks"]} <= set(attach.split("|"))
