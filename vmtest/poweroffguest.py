# SPDX-License-Identifier: Apache-2.0
"""Writes a log on a disk until the power is cut, inside the guest: ``python -m vmtest.poweroffguest``.

What it has to know stands in ``$VMTEST_EXCHANGE/plan``. First it looks at what the cut before has left (file
``found``), then it writes with the agent's own LogWriter, compacts and lets retention remove, and says in
``told`` what was written and what the settings promise to be on disk.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from agent.log.compaction import parquet_name
from agent.log.disk import sync_directory
from agent.log.fingerprint import fingerprint
from agent.log.manifest import Compaction, read_manifest
from agent.log.records import Line, SegmentFacts
from agent.log.segments import SegmentName, list_segments
from agent.log.verify import verify
from agent.log.writer import LogWriter
from agent.settings import LogSettings

MOUNTPOINT = Path("/run/poweroff")
LOG = MOUNTPOINT / "log"
BATCH_LINES = 20
PAUSE_S = 0.01
"""Between two batches: about a thousand events a second."""
COMPACT_EVERY = 5
"""Batches."""


class Plan(NamedTuple):
    """What one boot has to do."""

    fsync_seconds: float
    acknowledged: int
    """Last record of the boot before that has to be there; 0: none has."""
    compacts: bool
    """Whether closed segments are compacted, which syncs more often than the settings ask for."""
    first: bool
    """The disk is new."""
    last: bool
    """Ends in order instead of writing."""
    control: bool
    """Never syncs and acknowledges all the same: to show that the cut does lose something."""


class Stretch(NamedTuple):
    """The records of a boot that stand in a row."""

    boot_id: str
    first: int
    last: int


def main() -> None:
    """One boot."""
    exchange = Path(os.environ["VMTEST_EXCHANGE"])
    plan = Plan(**json.loads((exchange / "plan").read_text()))
    mount()
    writer = LogWriter(settings(plan), facts())
    writer.open()
    found = examine(LOG, plan)
    if plan.last:
        writer.close("end of the test")
        found["verify"] = tracehound_verify()
        subprocess.run(["umount", MOUNTPOINT], check=True)
    (exchange / "found.part").write_text(json.dumps(found))
    (exchange / "found.part").rename(exchange / "found")
    if not plan.last:
        write_for_ever(writer, plan, exchange / "told")


def mount() -> None:
    """The kernel brings the file system's journal in order here."""
    for module in ("virtio_blk", "ext4"):
        subprocess.run(["modprobe", module], check=True)
    MOUNTPOINT.mkdir()
    subprocess.run(["mount", "-t", "ext4", "/dev/vda", MOUNTPOINT], check=True)


def settings(plan: Plan) -> LogSettings:
    """Small segments and little room, so that everything happens within seconds."""
    return LogSettings(
        dir=str(LOG),
        group="",
        fsync_seconds=-1 if plan.control else plan.fsync_seconds,
        segment_bytes=48 << 10,
        retention_bytes=384 << 10,
    )


def facts() -> SegmentFacts:
    """Of this boot."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return SegmentFacts("guest", boot_id, "", platform.release(), "poweroff")


# What the cut has left


def examine(log: Path, plan: Plan) -> dict[str, Any]:
    """What is there after the writer was opened, and under `problems` what should not be so."""
    records = list(all_records(log))
    rows = list(stretches(records))
    verdict = verify(log, rebuild=lambda path: path.read_bytes().splitlines(keepends=True))
    problems = [f"{fault.file}:{fault.line}: {fault.problem}" for fault in verdict.faults]
    if len({row.boot_id for row in rows}) < len(rows):
        problems.append(f"numbers with holes: {rows}")
    problems += [f"boot begins at {after.first}: {rows}" for _, after in pairwise(rows) if after.first != 1]
    if not plan.first:
        problems += unclean_problems(records, plan.acknowledged)
    before = rows[-2].last if len(rows) > 1 else 0
    if before < plan.acknowledged:
        problems.append(f"record {plan.acknowledged} was acknowledged, {before} is the last one")
    return {"problems": problems, "last": before, "records": len(records), "segments": verdict.counts}


def all_records(log: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record with its boot, in order, be it compacted or not."""
    manifest = read_manifest(log)
    compacted = {name for name in manifest.compacted if (log / parquet_name(name)).exists()}
    boot_id = ""
    for name in sorted({*map(str, list_segments(log)), *compacted}):
        path = log / (parquet_name(name) if name in compacted else name)
        for line in path.read_bytes().splitlines():
            own = json.loads(line)["tracehound"]
            boot_id = own["segment"]["boot_id"] if "segment" in own else boot_id
            yield boot_id, own


def stretches(records: list[tuple[str, dict[str, Any]]]) -> Iterator[Stretch]:
    """Rows of numbers without a hole; a whole log has one for each boot."""
    current: Stretch | None = None
    for boot_id, own in records:
        number = own["sequence"]
        if current is not None and (boot_id, number) == (current.boot_id, current.last + 1):
            current = current._replace(last=number)
            continue
        if current is not None:
            yield current
        current = Stretch(boot_id, number, number)
    if current is not None:
        yield current


def unclean_problems(records: list[tuple[str, dict[str, Any]]], acknowledged: int) -> list[str]:
    """Whether this boot's records tell that the one before had no end."""
    boot_id = records[-1][0]
    told = [own["unclean_shutdown"] for boot, own in records if boot == boot_id and "unclean_shutdown" in own]
    if len(told) != 1:
        return [f"{len(told)} records of an unclean shutdown"]
    right = not told[0]["same_boot"] and told[0]["last_sequence"] >= acknowledged
    return [] if right else [f"the unclean shutdown is told wrongly: {told[0]}"]


def tracehound_verify() -> str:
    """What the command says."""
    command = ["tracehound", "log", "verify", "--log-dir", str(LOG)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{done.returncode}: {(done.stdout + done.stderr).splitlines()[0]}"


# Until the power is cut


class Promise:
    """What has to be on disk by the settings. Times are seconds of a clock that never goes back."""

    def __init__(self, fsync_seconds: float) -> None:
        self.sequence = 0
        """Last record that is on disk; 0: none."""
        self._fsync_seconds = fsync_seconds
        self._waiting: deque[tuple[float, int]] = deque()

    def written(self, sequence: int, now: float) -> None:
        """Everything up to this record was handed to the kernel."""
        self._waiting.append((now, sequence))

    def ticked(self, began: float) -> None:
        """The writer's `tick` that began then has ended: what was as old as the window then is on disk."""
        while self._waiting and self._waiting[0][0] <= began - self._fsync_seconds:
            self.sequence = self._waiting.popleft()[1]


def write_for_ever(writer: LogWriter, plan: Plan, told: Path) -> None:
    """Ends with the machine."""
    promise = Promise(0 if plan.control else plan.fsync_seconds)
    lines = [event(number) for number in range(BATCH_LINES)]
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    batch = 0
    while True:
        batch += 1
        writer.append(lines)
        promise.written(writer.last_sequence, time.monotonic())
        began = time.monotonic()
        if plan.fsync_seconds > 0 or batch % 10 == 0:
            writer.tick()
        promise.ticked(began)
        os.write(out, f"{writer.last_sequence} {promise.sequence}\n".encode())
        if batch % 50 == 0:
            writer.record("heartbeat", {"chain": writer.chain_head()})
        if plan.compacts and batch % COMPACT_EVERY == 0:
            compact_one(writer)
        time.sleep(PAUSE_S)


def event(number: int) -> Line:
    """A line as long as most are."""
    process = {"binary": f"/usr/bin/program-{number}", "arguments": "x" * 700}
    body = {"process_exec": {"process": process}, "node_name": "guest", "time": "2026-01-01T00:00:00.5Z"}
    head = json.dumps(body, separators=(",", ":")).encode()
    return head[:-1] + b',"tracehound":{"sequence":', b',"ancestry":["p"]}}\n'


def compact_one(writer: LogWriter) -> None:
    """The oldest closed segment that is not compacted. Its "Parquet file" is a copy of its lines: what is in
    it does not matter here."""
    manifest = read_manifest(LOG)
    waiting = (name for name in manifest.closed if name not in manifest.compacted | manifest.expired)
    name = next(waiting, None)
    if name is None or SegmentName.parse(name) is None:
        return
    closed, new = manifest.closed[name], LOG / (parquet_name(name) + ".new")
    new.parent.mkdir(exist_ok=True)
    shutil.copyfile(LOG / name, new)
    with new.open("rb") as file:
        os.fsync(file.fileno())
    sync_directory(new.parent)
    digest = fingerprint(new).sha256
    account = Compaction(
        name, closed.sha256, digest, closed.lines, closed.first_sequence, closed.last_sequence
    )
    writer.publish_compacted(account)


if __name__ == "__main__":
    main()
