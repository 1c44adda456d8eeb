# SPDX-License-Identifier: Apache-2.0
"""Real cgroups, named as container runtimes name theirs, where containers are looked for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from agent.kernel.cgroups import container_directory


class Cgroups:
    """Cgroups below one of our own."""

    def __init__(self) -> None:
        root = container_directory()
        assert root is not None
        self.root = root
        remove_left(root)
        self.top = root / f"tracehound-test-{os.getpid()}-{time.monotonic_ns()}"
        self.top.mkdir()
        self._children: list[subprocess.Popen[bytes]] = []

    def make(self, name: str) -> Path:
        """A cgroup, and those above it."""
        made = self.top / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def path(self, cgroup: Path) -> str:
        """As the kernel tells it."""
        return f"/{cgroup.relative_to(self.root)}"

    def run(self, cgroup: Path, command: Sequence[str] = ("sleep", "60")) -> subprocess.Popen[bytes]:
        """A program that is executed in the cgroup, as runtimes do it: who joins it is of the host."""
        script = 'echo $$ > "$0"/cgroup.procs && exec "$@"'
        child = subprocess.Popen(
            ["sh", "-c", script, str(cgroup), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._children.append(child)
        return child

    def close(self) -> None:
        """Ends what runs and removes all."""
        for child in self._children:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
        for directory, _, _ in os.walk(self.top, topdown=False):
            for pid in Path(directory, "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            remove(Path(directory))


def remove_left(root: Path) -> None:
    """What tests that were killed have left, unless something runs in it."""
    for top in root.glob("tracehound-test-*-*"):
        if not Path("/proc", top.name.split("-")[2]).exists():
            for directory, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    Path(directory).rmdir()


def remove(cgroup: Path) -> None:
    """The last process may take a moment to leave."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            cgroup.rmdir()
        if not cgroup.exists():
            return
        time.sleep(0.01)


@contextlib.contextmanager
def cgroups() -> Iterator[Cgroups]:
    """Cgroups for one test."""
    made = Cgroups()
    try:
        yield made
    finally:
        made.close()


def id_of(cgroup: Path) -> int:
    """As the kernel numbers it."""
    return cgroup.stat().st_ino
