# SPDX-License-Identifier: Apache-2.0
"""Fifty times SIGKILL: what was acknowledged is there, what was delivered and what is left is everything."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from agent.log.compaction import parquet_name
from agent.log.manifest import read_manifest
from agent.log.reader import LogReader
from agent.log.segments import SegmentName, list_segments
from agent.log.verify import verify
from exporters.cursor import CursorFile

from .conftest import MakeWriter
from .killed import EXPORTER, POINTS

ROOT = Path(__file__).parents[3]
MODES = [(point, mode) for point in POINTS for mode in ("before", "after")] + [("write", "half")]
KILLS_EACH = 3


class Run(NamedTuple):
    acknowledged: int
    """Last record that was written and synced."""
    delivered: set[int]
    """Records that the exporter had delivered."""


def run(directory: Path, point: str, mode: str, call: int) -> Run:
    """One life of the process, up to its SIGKILL."""
    arguments = [directory / "log", directory / "state", point, mode, str(call)]
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.agent.log.killed", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return told_by(child)


def told_by(child: subprocess.Popen[str], kill_after: int = 0) -> Run:
    """Reads what it says until it is dead; kills it after so many lines."""
    acknowledged, delivered = 0, set[int]()
    assert child.stdout is not None
    with child.stdout:
        for count, line in enumerate(child.stdout, 1):
            letter, number = line.split()
            if letter == "a":
                acknowledged = int(number)
            else:
                delivered.add(int(number))
            if count == kill_after:
                child.kill()
    assert child.wait() == -signal.SIGKILL
    return Run(acknowledged, delivered)


def records(log: Path) -> list[dict[str, object]]:
    """Everything that is in the log, compacted or not, in order."""
    manifest = read_manifest(log)
    names = {*map(str, list_segments(log)), *manifest.compacted}
    paths = [
        log / parquet_name(name) if name in manifest.compacted else log / name
        for name in sorted(names, key=lambda text: SegmentName.parse(text) or SegmentName(0, 0))
    ]
    return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def check(directory: Path, make_writer: MakeWriter, runs: list[Run]) -> None:
    """After the next start nothing acknowledged is lost, no number missing, nothing undelivered gone."""
    log = directory / "log"
    make_writer(dir=log).close("done")
    numbers = [record["tracehound"]["sequence"] for record in records(log)]  # type: ignore[index]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > max(one.acknowledged for one in runs)
    place = CursorFile(directory / "state" / EXPORTER / "cursor").load()[0]
    rest = {entry.sequence for entry in LogReader(log).read(place.cursor if place else None)}
    assert rest.union(*(one.delivered for one in runs)) == set(numbers)
    assert verify(log, rebuild=lambda path: path.read_bytes().splitlines(keepends=True)).faults == []


@pytest.mark.parametrize(("point", "mode"), MODES)
def test_nothing_acknowledged_is_lost_when_it_is_killed_at(
    point: str, mode: str, tmp_path: Path, make_writer: MakeWriter
) -> None:
    """Several lives on one directory, each killed a random number of calls after its start."""
    dice = random.Random(f"{point} {mode}")
    most = 6 if point in ("compact", "rotate", "unlink", "manifest", "cursor") else 60
    runs = [run(tmp_path, point, mode, dice.randint(1, most)) for _ in range(KILLS_EACH)]
    check(tmp_path, make_writer, runs)


def test_nothing_acknowledged_is_lost_when_it_is_killed_at_any_moment(
    tmp_path: Path, make_writer: MakeWriter
) -> None:
    dice, runs = random.Random(4), []
    for _ in range(5):
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.agent.log.killed",
                tmp_path / "log",
                tmp_path / "state",
                "-",
                "",
                "0",
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        runs.append(told_by(child, dice.randint(5, 1500)))
    check(tmp_path, make_writer, runs)


def test_a_killed_agent_is_told_with_what_is_known(tmp_path: Path, make_writer: MakeWriter) -> None:
    last = run(tmp_path, "write", "half", 30).acknowledged
    make_writer(dir=tmp_path / "log")
    told = [
        record["tracehound"]["unclean_shutdown"]  # type: ignore[index]
        for record in records(tmp_path / "log")
        if "unclean_shutdown" in record["tracehound"]  # type: ignore[operator]
    ]
    assert len(told) == 1 and told[0]["last_sequence"] >= last and told[0]["torn_bytes"] > 0
    assert told[0]["same_boot"] is True and told[0]["window_seconds"] == 1.0
