# SPDX-License-Identifier: Apache-2.0
"""What each policy of the library does on this kernel: all that are asked for run in one agent, every case of
tests/tracingpolicies/cases is played once, then the log is judged."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any, cast

import pytest

from agent.kernel.view import KernelView
from agent.policy.profiles import library_files
from tests.e2e.cases import is_part, lacks
from tests.e2e.support import Agent, Event, identity, pids_of, start_agent
from tests.tracingpolicies.library import Case, enforced, needs, policies, read_cases

pytestmark = [pytest.mark.root, pytest.mark.kernel]
RELOADS = 5
"""Minutes to wait for the library to be loaded."""
ACTIONS = Path(__file__).with_name("act.c")


@dataclass
class Played:
    """What became of a case."""

    pid: int
    status: int
    """Exit status; 128 and more: the signal's number above it."""
    after: int = 0


class Stage:
    """An agent that runs the whole library, and a shell below which policies are enforced."""

    def __init__(self, root: Path, files: set[str]) -> None:
        """`files`: names of the policies' files that are asked for."""
        self.root, self.files = root, files
        self.act = root / "act"
        compiler: list[str | Path] = [
            os.environ.get("CC", "cc"),
            "-O1",
            "-Wall",
            "-Werror",
            "-static",
            "-o",
            self.act,
            ACTIONS,
        ]
        subprocess.run(compiler, check=True)
        self.shell = subprocess.Popen(["/bin/sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        shelf = root / "policies"
        for place in (shelf, root / "agent"):
            place.mkdir()
        self.agent: Agent = start_agent(root / "agent", (f"policies.dirs={shelf}",))
        self._load(shelf)
        self.played: dict[str, Played] = {}

    def play(self, cases: list[Case]) -> None:
        """Runs all, then waits until the log has everything."""
        there = [case for case in cases if not self.missing(case)]
        guarded = [case for case in there if case.is_enforced]
        free = [case for case in there if not case.is_enforced]
        with ThreadPoolExecutor() as pool:
            for played in pool.map(self._play_all, (guarded, free[::2], free[1::2])):
                self.played |= played
        marker = subprocess.Popen(["/bin/true"])
        marker.wait()
        self.agent.executed(marker.pid)

    def missing(self, case: Case) -> str:
        """Why a case cannot be played here."""
        required = [*needs(policies()[case.file]), *case.content.get("REQUIRES", [])]
        rings = [word for word in required if word.startswith("ring")]
        if rings and case.is_enforced and not self.rings_have_threads:
            return "io_uring works in threads of the kernel here: none of them is a process of the case"
        return lacks([word for word in required if word not in rings]) or self._no_ring(tuple(rings))

    def state(self, policy: str) -> str:
        """What the agent says of a policy: `enabled`, or what is wrong."""
        told = [record["tracehound"]["policy"] for record in self.agent.own_records("policy")]
        mine = [one for one in told if isinstance(one, dict) and one.get("name") == policy]
        return str(mine[-1]) if mine else "no record"

    def is_loaded(self, policy: str) -> bool:
        """Whether it was added."""
        return "'action': 'added'" in self.state(policy)

    def events(self, case: Case) -> list[Event]:
        """Events of the case's policy by its own processes, or by those of no case: see `in_kernel`."""
        pids = {played.pid for played in self.played.values()}
        wanted = set() if self.in_kernel(case) else {self.played[case.name].pid}
        events = (record for record in self.agent.records if _policy_of(record) == case.policy)
        return [record for record in events if pids & set(_family(record)) == wanted]

    def in_kernel(self, case: Case) -> bool:
        """Whether threads of the kernel do what the case asks of io_uring."""
        rings = any(word.startswith("ring") for word in case.content.get("REQUIRES", []))
        return rings and not self.rings_have_threads

    @cached_property
    def rings_have_threads(self) -> bool:
        """Whether io_uring works in threads of the process: since Linux kernel commit cc440e8738e5 "kernel:
        provide create_io_thread() helper" (in v5.12)."""
        with KernelView() as view:
            return view.has_function("create_io_thread")

    def names(self, case: Case) -> dict[str, str]:
        """What `$NAME` stands for."""
        return {"ACT": str(self.act), "DIR": str(self._place(case))}

    def close(self) -> None:
        """Ends both."""
        cast("IO[str]", self.shell.stdin).close()
        cast("IO[str]", self.shell.stdout).close()
        self.shell.wait(60)
        if self.agent.is_running:
            self.agent.stop()

    def _load(self, shelf: Path) -> None:
        """By a reload: emulated CPUs take longer for the whole library than a start may take."""
        wanted = {case.file for case in read_cases() if case.is_enforced}
        for file in (file for file in library_files() if file.stem in self.files):
            (shelf / file.name).write_text(file.read_text())
            if file.stem in wanted:
                (shelf / f"{file.stem}-enforced.yaml").write_text(enforced(file, self.shell.pid))
        self.agent.process.send_signal(signal.SIGHUP)
        for _ in range(RELOADS):
            with suppress(AssertionError):
                self.agent.wait(lambda: self.agent.own_records("reload"), "no reload")
                break

    def _play_all(self, cases: list[Case]) -> dict[str, Played]:
        return {case.name: self._play(case) for case in cases}

    def _play(self, case: Case) -> Played:
        place = self._place(case)
        place.mkdir()
        names = self.names(case)
        if before := case.filled("BEFORE", names):
            subprocess.run(["/bin/sh", "-ec", before], cwd=place, check=True, timeout=60)
        run = case.filled("RUN", names)
        played = self._guarded(run, place) if case.is_enforced else _free(run, place)
        if after := case.filled("AFTER", names):
            played.after = subprocess.run(["/bin/sh", "-c", after], cwd=place, timeout=60).returncode
        return played

    def _guarded(self, command: str, place: Path) -> Played:
        """Below the shell whose descendants policies are enforced on."""
        line = f"cd {place}; /bin/sh -c {shlex.quote(command)} >out 2>&1 </dev/null & wait $!; echo $! $?\n"
        stdin = cast("IO[str]", self.shell.stdin)
        stdin.write(line)
        stdin.flush()
        pid, status = cast("IO[str]", self.shell.stdout).readline().split()
        return Played(int(pid), int(status))

    def _place(self, case: Case) -> Path:
        return self.root / f"{case.file}-{case.number}"

    @cache  # noqa: B019  (there is one stage)
    def _no_ring(self, wanted: tuple[str, ...]) -> str:
        """Why this kernel does not do through io_uring what a case wants (`ring unlink`)."""
        for _, _, call in (word.partition(" ") for word in wanted):
            arguments = {"unlink": ["/none/none"], "rename": ["/none/none", "/none/none"]}
            probe = ["ring-" + call, *arguments[call]] if call in arguments else ["ring"]
            done = subprocess.run([self.act, *probe], capture_output=True)
            if done.returncode not in (0, errno.ENOENT):
                return f"this kernel has no io_uring for {call}: {os.strerror(done.returncode)}"
        return ""


def _free(command: str, place: Path) -> Played:
    with (place / "out").open("wb") as out:
        done = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=place, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        status = done.wait(60)
    return Played(done.pid, status if status >= 0 else 128 - status)


def _policy_of(record: Event) -> str:
    body: Any = next(iter(record.values()))
    return str(body.get("policy_name", "")) if isinstance(body, dict) else ""


def _family(record: Event) -> list[int]:
    """Pids of the event's process and of its ancestors."""
    process: Event = next(iter(record.values()))["process"]
    return [
        identity(process["exec_id"]).pid,
        *pids_of([one for one in record["tracehound"]["ancestry"] if one]),
    ]


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    specs = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    asked = {spec.params["policy"] for spec in specs if spec}
    cases = [case for case in read_cases() if case.file in asked]
    with tempfile.TemporaryDirectory(prefix="library-") as name:
        Path(name).chmod(0o755)
        made = Stage(Path(name).resolve(), asked)
        try:
            made.play(cases)
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("policy", sorted(policies()))
def test_policy_is_loaded(policy: str, stage: Stage) -> None:
    if reason := lacks(needs(policies()[policy])):
        assert not stage.is_loaded(policy)
        pytest.skip(reason)
    assert stage.is_loaded(policy), stage.state(policy)


@pytest.mark.parametrize(
    ("policy", "case"), [pytest.param(case.file, case, id=case.name) for case in read_cases()]
)
def test_case(policy: str, case: Case, stage: Stage) -> None:
    assert policy in stage.files
    if reason := stage.missing(case):
        pytest.skip(reason)
    played, wanted = stage.played[case.name], case.filled("EXPECT", stage.names(case)) or []
    found = stage.events(case)
    missing = [event for event in wanted if not any(is_part(event, one) for one in found)]
    assert not missing, f"{missing} is not in {found}"
    assert case.content.get("ANY") or stage.in_kernel(case) or len(found) == len(wanted), found
    assert played.status == case.content.get("STATUS", 0)
    assert played.after == 0


def test_nothing_is_lost(stage: Stage) -> None:
    stage.agent.read()
    assert not stage.agent.losses()
