# SPDX-License-Identifier: Apache-2.0
"""Real log directories, and clocks that stand still until a test moves them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.log.records import Line, SegmentFacts
from agent.log.retention import Follower
from agent.log.segments import list_segments
from agent.log.upkeep import Compactable
from agent.log.writer import LogWriter
from agent.settings import LogSettings

NOBODY = 65534
FACTS = SegmentFacts(
    node_name="n1",
    boot_id="boot-a",
    machine_id="machine",
    kernel="6.1.0",
    version="0.1.0",
    host_ns={"mnt": 4026531841, "pid": 4026531836},
)


class Clock:
    """Both clocks of a writer. The wall clock begins at 2026-01-01."""

    def __init__(self) -> None:
        self.wall = 1_767_225_600 * 10**9
        self.seconds = 1000.0

    def wall_ns(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.wall += int(seconds * 1e9)
        self.seconds += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += int(seconds * 1e9)


def event(name: str = "ls", kind: str = "process_exec", time: str = "2026-01-01T00:00:00.5Z") -> Line:
    """An event as the pipeline hands it to the writer."""
    body = orjson.dumps({kind: {"process": {"binary": name}}, "node_name": "n1", "time": time})
    return body[:-1] + b',"tracehound":{"sequence":', b',"ancestry":["p"]}}\n'


def lines_of(directory: Path) -> list[bytes]:
    return [
        line
        for name in list_segments(directory)
        for line in (directory / str(name)).read_bytes().splitlines()
    ]


def records_of(directory: Path) -> list[dict[str, Any]]:
    """Every record of the log; fails when any line is not one."""
    return [orjson.loads(line) for line in lines_of(directory)]


def sequences_of(directory: Path) -> list[int]:
    return [record["tracehound"]["sequence"] for record in records_of(directory)]


def kinds_of(directory: Path) -> list[str]:
    """The kind of every record: `exec` for an event, else the key that names the own record."""
    return [
        "exec" if "process_exec" in record else next(k for k in record["tracehound"] if k != "sequence")
        for record in records_of(directory)
    ]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return tmp_path / "log"


MakeWriter = Callable[..., LogWriter]


@pytest.fixture
def make_writer(log_dir: Path, clock: Clock) -> Iterator[MakeWriter]:
    """Opens a writer; keywords are settings, `boot_id` another boot."""
    opened: list[LogWriter] = []

    def make(
        dir: Path | None = None,
        boot_id: str = "boot-a",
        when_written: Callable[[Sequence[Line], int], None] | None = None,
        followers: Callable[[], Sequence[Follower]] = tuple,
        compactable: Compactable = lambda _: False,
        **settings: Any,
    ) -> LogWriter:
        made = LogWriter(
            replace(LogSettings(dir=str(dir or log_dir), group=""), **settings),
            replace(FACTS, boot_id=boot_id),
            wall_ns=clock.wall_ns,
            monotonic=clock.monotonic,
            when_written=when_written,
            followers=followers,
            compactable=compactable,
        )
        made.open(["exec"])
        opened.append(made)
        return made

    yield make
    for writer in opened:
        writer.close("end of the test")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    mountpoint = tmp_path / "disk"
    mountpoint.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mountpoint], check=True)
    yield mountpoint
    subprocess.run(["umount", "--lazy", mountpoint], check=True)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of an ordinary user, who we are during the test."""
    directory = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    yield directory
    if os.getuid() == 0:
        os.seteuid(0)
        os.setegid(0)
    subprocess.run(["chmod", "-R", "u+rwX", directory], check=True)
    shutil.rmtree(directory)


def recorded(kind: str) -> bytes:
    """An event of Tetragon with everything switched on, as it was recorded (names of node and scripts
    changed)."""
    return (Path(__file__).parent / "events" / f"{kind}.jsonl").read_bytes().rstrip(b"\n")
