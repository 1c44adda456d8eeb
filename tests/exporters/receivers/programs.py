# SPDX-License-Identifier: Apache-2.0
"""Real receivers as child processes on loopback: rsyslog, syslog-ng, Alertmanager.

They come from .cache/receivers, where fetch.sh puts Debian's packages, or are installed. Tests skip without.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FETCHED = Path(__file__).resolve().parents[3] / ".cache" / "receivers"
_PLACES = (FETCHED / "usr/sbin", FETCHED / "usr/bin", Path("/usr/sbin"), Path("/usr/bin"))


def find(program: str) -> str:
    """Path of a program; skips the test without it."""
    found = shutil.which(program, path=os.pathsep.join(map(str, _PLACES)))
    if found is None:
        pytest.skip(f"{program} is not there: tests/exporters/receivers/fetch.sh gets it")
    return found


def modules(pattern: str) -> Path:
    """Directory of a program's modules, fetched or installed."""
    for root in (FETCHED, Path("/")):
        if found := sorted(root.glob(pattern)):
            return found[0]
    raise FileNotFoundError(pattern)


def with_shared_files(command: list[str]) -> list[str]:
    """The command with the fetched /usr/share laid over the machine's own, in namespaces of its own: Debian's
    Alertmanager reads its templates from there and nowhere else."""
    if Path("/usr/share/prometheus/alertmanager/default.tmpl").exists():
        return command
    layers = f"{FETCHED}/usr/share:/usr/share"
    script = f'mount -t overlay overlay -o lowerdir={layers} /usr/share && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *command]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of loopback that nobody has at this moment."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the end of the block; what it says goes to `log`."""
    libraries = [str(place) for place in (FETCHED / "usr/lib").glob("*-linux-gnu")]
    libraries += [str(place) for place in (FETCHED / "lib").glob("*-linux-gnu")]
    libraries.append(str(FETCHED / "usr/lib/syslog-ng"))
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
    with log.open("wb") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    try:
        wait_until(lambda: child.poll() is not None or is_ready(), log)
        assert child.poll() is None, log.read_text()
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_until(is_so: Callable[[], bool], log: Path | None = None, seconds: float = 60) -> None:
    """Wait for something that a busy machine may take long for."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, log.read_text() if log else "it did not happen"
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0
