# SPDX-License-Identifier: Apache-2.0
"""A whole daemon whose loop a test turns by hand, with a child that knows containers by rote; and containers
of runc, made of busybox."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.daemon import Daemon
from agent.following import Following
from agent.log.reader import LogReader
from agent.settings import (
    ApiSettings,
    ContainerSettings,
    IdentitySettings,
    LogSettings,
    Settings,
    StoreSettings,
)
from tests.agent.kernel.cgrouping import remove

SCRIPT = Path(__file__).with_name("scripted_child.py")


def settings_for(directory: Path, **changed: Any) -> Settings:
    """Nothing of this machine but its kernel."""
    made = Settings(
        node_name="n1",
        output="none",
        log=LogSettings(dir=str(directory / "log"), fsync_seconds=-1.0),
        api=ApiSettings(socket=""),
        store=StoreSettings(enabled=False),
        identity=IdentitySettings(kubernetes=False, state_file=str(directory / "kubernetes.json")),
        containers=ContainerSettings(patience_seconds=120.0),
    )
    made = replace(made, redaction=replace(made.redaction, key_file=str(directory / "key")))
    return replace(made, **changed)


class Running:
    """A daemon between two turns of its loop. `mode`: of the scripted child, or `real`."""

    def __init__(self, directory: Path, mode: str = "at once", **changed: Any) -> None:
        self.directory = directory
        self.daemon = Daemon(settings_for(directory, **changed))
        if mode != "real":
            self.daemon.following.identifying._command = (str(SCRIPT), mode)
        self.daemon.open()

    @property
    def following(self) -> Following:
        return self.daemon.following

    def turn(self) -> None:
        """As Daemon.run."""
        fds = [self.daemon.sensor.ring.fileno(), *self.following.filenos()]
        ready, _, _ = select.select(fds, [], [], 0.02)
        self.daemon.drain()
        if self.following.filenos()[0] in ready:
            self.following.handle()
        self.following.tick(time.monotonic())

    def until(self, holds: Callable[[], object], seconds: float = 30) -> bool:
        deadline = time.monotonic() + seconds
        while not holds() and time.monotonic() < deadline:
            self.turn()
        return bool(holds())

    def lines(self) -> list[dict[str, Any]]:
        """What stands in the log."""
        self.daemon.drain()
        return [entry.record for entry in LogReader(self.directory / "log").read()]

    def execs(self, container: str) -> list[dict[str, Any]]:
        """Of a container."""
        found = [line for line in self.lines() if "process_exec" in line]
        return [one for one in found if one["process_exec"]["process"].get("docker") == container[:31]]

    def updates(self, container: str) -> list[dict[str, Any]]:
        """container_update records of one."""
        return [one for one in self.all_updates() if one["id"] == container]

    def all_updates(self) -> list[dict[str, Any]]:
        """Of all."""
        found = (line["tracehound"].get("container_update") for line in self.lines())
        return [one for one in found if one]


@contextmanager
def running(directory: Path, mode: str = "at once", **changed: Any) -> Iterator[Running]:
    """Ends in order."""
    made = Running(directory, mode, **changed)
    try:
        yield made
    finally:
        made.daemon.close()


def why_no_containers() -> str:
    """Why runc cannot be tried here; empty where it can."""
    for program in ("runc", "busybox"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    kind = subprocess.run(
        ["file", "-L", shutil.which("busybox") or ""], capture_output=True, text=True
    ).stdout
    return "" if not kind or "static" in kind else "busybox is not linked statically"


class Runc:
    """Containers in a directory of our own. Each has the host's network, and no image but busybox."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.top = f"/tracehound-{os.getpid()}-{time.monotonic_ns()}"
        """Cgroup for all of them."""
        self._names: list[str] = []
        self._children: list[subprocess.Popen[bytes]] = []

    def run(self, id_: str, command: list[str], cgroup: str, *, pid_namespace: bool = True) -> None:
        """Starts one in the background."""
        bundle = self._bundle(id_, command, cgroup, pid_namespace)
        call = [*self._runc(), "run", "--bundle", str(bundle), id_]
        self._names.append(id_)
        quiet = subprocess.DEVNULL
        self._children.append(subprocess.Popen(call, stdin=quiet, stdout=quiet, stderr=quiet))

    def execute(self, id_: str, command: list[str]) -> int:
        """As `docker exec`."""
        call = [*self._runc(), "exec", id_, *command]
        return subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True).returncode

    def pid(self, id_: str) -> int:
        """Of its first process; 0 while there is none."""
        told = subprocess.run([*self._runc(), "state", id_], capture_output=True)
        return int(json.loads(told.stdout)["pid"]) if told.returncode == 0 else 0

    def close(self) -> None:
        """Kills and removes all."""
        for name in self._names:
            subprocess.run([*self._runc(), "delete", "--force", name], capture_output=True)
        for child in self._children:
            child.wait(30)
        for hierarchy in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
            for directory, _, _ in os.walk(f"{hierarchy}{self.top}", topdown=False):
                remove(Path(directory))

    def _runc(self) -> list[str]:
        return ["runc", "--root", str(self._directory / "state")]

    def _bundle(self, id_: str, command: list[str], cgroup: str, pid_namespace: bool) -> Path:
        bundle = self._directory / id_[:12]
        programs = bundle / "rootfs" / "bin"
        programs.mkdir(parents=True)
        shutil.copy(shutil.which("busybox") or "busybox", programs / "busybox")
        for name in ("sh", "sleep", "true", "cat"):
            os.symlink("busybox", programs / name)
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"] |= {"terminal": False, "args": command, "oomScoreAdj": 0}
        spec["process"].pop("rlimits", None)
        spec["linux"]["cgroupsPath"] = cgroup
        left = ["network", "cgroup"] + ([] if pid_namespace else ["pid"])
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] not in left]
        (bundle / "config.json").write_text(json.dumps(spec))
        return bundle
