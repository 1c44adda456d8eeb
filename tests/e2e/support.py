# SPDX-License-Identifier: Apache-2.0
"""An agent as users start it, seen from outside: its log, its status file, its exit status."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from agent.kernel.links import attached_program_ids
from agent.log.reader import LogReader
from agent.log.tail import Tail

Event = dict[str, Any]

TRIES = 1200
PAUSE_S = 0.05
"""A minute of waiting at most: emulated CPUs are slow, and nobody measures here."""


@dataclass
class Life:
    """What the log says about one pid: its images in order, and its end."""

    execs: list[Event] = field(default_factory=list)
    exits: list[Event] = field(default_factory=list)

    @property
    def last(self) -> Event:
        """The process as its last exec described it."""
        process: Event = self.execs[-1]["process_exec"]["process"]
        return process

    @property
    def own(self) -> Event:
        """What stands under `tracehound` in the last exec."""
        own: Event = self.execs[-1]["tracehound"]
        return own

    @property
    def end(self) -> Event:
        """The exit event; there must be exactly one."""
        assert len(self.exits) == 1, self.exits
        end: Event = self.exits[0]["process_exit"]
        return end


class Agent:
    """A running `tracehound run` below a root of its own."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes]) -> None:
        self.root = root
        self.process = process
        self.log_dir = root / "var/lib/tracehound/log"
        self.records: list[Event] = []
        self.lives: dict[int, Life] = defaultdict(Life)
        self._tail: Tail | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    @property
    def words(self) -> str:
        """What it printed on standard error."""
        return (self.root / "stderr").read_text()

    def status(self) -> Event:
        """status.json; empty while there is none."""
        try:
            state: Event = json.loads((self.log_dir / "status.json").read_bytes())
        except FileNotFoundError:
            return {}
        return state

    def attached(self, question: str) -> bool:
        """Whether a program answers this question on this kernel."""
        return any(p["name"].startswith(question) and p["attached"] for p in self.status()["programs"])

    def read(self) -> None:
        """Takes in what was appended to the log since."""
        if self._tail is None:
            self._tail = LogReader(self.log_dir).tail()
        for entry in self._tail.entries():
            record = entry.record
            self.records.append(record)
            if "process_exec" in record:
                self.lives[record["process_exec"]["process"]["pid"]].execs.append(record)
            elif "process_exit" in record:
                self.lives[record["process_exit"]["process"]["pid"]].exits.append(record)

    def own_records(self, kind: str) -> list[Event]:
        """Own records of one kind so far."""
        return [record for record in self.records if kind in record.get("tracehound", {})]

    def executed(self, pid: int) -> Life:
        """The life of a pid, once the log has its exec."""
        self.wait(lambda: self.lives[pid].execs, f"no exec of {pid}")
        return self.lives[pid]

    def ended(self, pid: int) -> Life:
        """The life of a pid, once the log has its exit."""
        self.wait(lambda: self.lives[pid].exits, f"no exit of {pid}")
        return self.lives[pid]

    def wait(self, found: Callable[[], object], otherwise: str) -> None:
        """Reads on until `found` says yes."""
        for _ in range(TRIES):
            self.read()
            if found():
                return
            if not self.is_running:
                break
            time.sleep(PAUSE_S)
        raise AssertionError(f"{otherwise}; the agent said: {self.words!r}; last: {self.records[-3:]}")

    def stop(self) -> None:
        """Interrupts it as Ctrl-C does: it must end well, lose nothing and leave nothing attached."""
        programs = self.programs()
        assert programs & attached_program_ids()
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.words
        self.read()
        assert self.records[-1]["tracehound"]["stop"]["reason"] == "interrupted"
        assert not self.losses(), self.losses()
        assert not programs & attached_program_ids()
        assert not self.status()

    def losses(self) -> list[Event]:
        """What it reported as lost, but for runs of a program that the kernel skipped (see `enum turn` in
        kprobes/include/shared.h): of these it can say how many at most, not which. Where a test needs the
        event, it fails.
        """
        losses = [record["tracehound"]["loss"] for record in self.own_records("loss")]
        return [loss for loss in losses if loss["cause"] != "recursion"]

    def programs(self) -> set[int]:
        """Numbers of the programs that it holds, from its descriptors (proc(5), fdinfo)."""
        found = set()
        for info in Path(f"/proc/{self.process.pid}/fdinfo").iterdir():
            try:
                text = info.read_text()
            except FileNotFoundError:
                continue  # closed meanwhile
            lines = (line.split(":\t") for line in text.splitlines())
            found |= {int(words[1]) for words in lines if words[0] == "prog_id"}
        return found


def settings_of(module: ModuleType) -> Sequence[str]:
    """The settings that a test module asks for."""
    settings: Sequence[str] = getattr(module, "AGENT_SETTINGS", ())
    return settings


def start_agent(root: Path, settings: Sequence[str] = ()) -> Agent:
    """Starts an agent and waits until it watches."""
    program = Path(sys.executable).with_name("tracehound")
    chosen = [word for setting in ("api.socket=", *settings) for word in ("--set", setting)]
    with (root / "stderr").open("ab") as errors:
        process = subprocess.Popen(
            [program, "run", "--output", "none", "--root", root, *chosen],
            stdin=subprocess.DEVNULL,
            stderr=errors,
        )
    agent = Agent(root, process)
    for _ in range(TRIES):
        if agent.status().get("pid") == process.pid:
            return agent
        if not agent.is_running:
            break
        time.sleep(PAUSE_S)
    process.kill()
    process.wait()
    raise AssertionError(f"the agent does not watch: {agent.words}")


def begin(action: Callable[[], object]) -> int:
    """Forks a child that does this and never returns; the action should end in an exec."""
    pid = os.fork()
    if pid:
        return pid
    try:
        action()
    finally:
        os._exit(125)


def end(pid: int) -> int:
    """The child's wait status."""
    return os.waitpid(pid, 0)[1]


def run(argv: Sequence[str | bytes | Path], prepare: Callable[[], object] = lambda: None) -> int:
    """Forks a child that prepares itself and executes this; returns its pid when it has ended with 0."""

    def action() -> NoReturn:
        prepare()
        os.execv(argv[0], [os.fsencode(argument) for argument in argv])

    pid = begin(action)
    assert end(pid) == 0
    return pid


class Identity(NamedTuple):
    """What an exec_id holds."""

    node: str
    ktime_ns: int
    pid: int


def identity(exec_id: str) -> Identity:
    """An exec_id, taken apart."""
    node, ktime, pid = base64.b64decode(exec_id).decode().split(":")
    return Identity(node, int(ktime), int(pid))


def pids_of(ancestry: Sequence[str]) -> list[int]:
    """The pids of a list of exec_ids."""
    return [identity(exec_id).pid for exec_id in ancestry]
