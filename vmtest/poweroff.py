# SPDX-License-Identifier: Apache-2.0
"""Whether the log survives power cuts: ``python -m vmtest.poweroff`` (``make poweroff``).

A VM writes a log on an ext4 disk of its own and is killed at a random moment; the next boot looks at what
is there and goes on. A killed QEMU is not a power cut yet: see vmtest/writelog.py. Boots alternate between a
sync with every batch and one a second, and between compacting and not; the disk loses all that it had not
flushed, or, by chance, a random half of it, sector by sector. Exit status 0 when nothing that was
acknowledged was ever lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from vmtest import machine
from vmtest.__main__ import ready
from vmtest.kernels import CACHE, Kernel, VmtestError
from vmtest.poweroffguest import Plan
from vmtest.writelog import Cut, cut_power

DISK_BYTES = 96 << 20
WINDOW_S = 1.0
"""The sync interval of every second boot."""
EARLIEST_S, LATEST_S = 0.3, 8.0
"""When the power is cut, after the guest began to write."""


class Round(NamedTuple):
    """One boot and its end."""

    plan: Plan
    found: dict[str, Any]
    """What the guest says of the log, as poweroffguest.examine has it."""
    written: int = 0
    acknowledged: int = 0
    cut: Cut | None = None


def main() -> int:
    """Boot, cut, look; print a row for each."""
    options = parser().parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    try:
        rounds = run(ready(options.kernel), options, random.Random(seed))
    except VmtestError as error:
        print(f"poweroff: {error}", file=sys.stderr)
        return 125
    print(*report(rounds), sep="\n")
    return 1 if any(one.found["problems"] for one in rounds) else 0


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(prog="python -m vmtest.poweroff", description=__doc__)
    flags.add_argument("--kernel", default="6.12", metavar="LABEL")
    flags.add_argument("--cuts", type=int, default=10, metavar="N")
    flags.add_argument(
        "--seed", type=int, help="of the moments and of what a disk loses; the default is random"
    )
    flags.add_argument("--timeout", type=float, default=600, metavar="S", help="for one boot")
    flags.add_argument(
        "--control", action="store_true", help="the guest never syncs and says it did: has to fail"
    )
    return flags


def run(kernel: Kernel, options: argparse.Namespace, dice: random.Random) -> list[Round]:
    """All cuts, and a last boot that ends in order."""
    rounds: list[Round] = []
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="poweroff-", dir=CACHE) as directory:
        disk = Path(directory) / "disk"
        make_disk(disk)
        for number in range(options.cuts + 1):
            plan = Plan(
                fsync_seconds=WINDOW_S * (number % 2),
                acknowledged=rounds[-1].acknowledged if rounds else 0,
                compacts=number % 4 > 1,
                first=not rounds,
                last=number == options.cuts,
                control=options.control,
            )
            rounds.append(boot(kernel, disk, plan, dice, options.timeout))
            print(row(number, rounds[-1]), flush=True)
    return rounds


def make_disk(disk: Path) -> None:
    """An empty ext4 file system."""
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if mkfs is None:
        raise VmtestError("missing: mkfs.ext4 (package e2fsprogs)")
    lazy = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    subprocess.run([mkfs, "-q", "-F", "-E", lazy, disk], check=True)


def boot(kernel: Kernel, disk: Path, plan: Plan, dice: random.Random, timeout_s: float) -> Round:
    """One life of the VM. Afterwards the disk is as the cut has left it."""
    with machine.exchange_directory(f"{kernel.label}-poweroff") as exchange:
        (exchange / "plan").write_text(json.dumps(plan._asdict()))
        working, log = exchange / "tmp" / "disk", exchange / "tmp" / "writes"
        shutil.copyfile(disk, working)
        log.touch()
        options = machine.Options(qemu=disk_options(working, log))
        machine.write_command(exchange, ["python", "-m", "vmtest.poweroffguest"], options)
        argv = machine.vng_command(kernel, options, exchange, "command")
        with machine.booted(argv, exchange) as process:
            found = wait_for_found(process, exchange, time.monotonic() + timeout_s)
            if plan.last:
                return Round(plan, found)
            time.sleep(dice.uniform(EARLIEST_S, LATEST_S))
            kill(process)
        written, acknowledged = told(exchange / "told")
        share = dice.choice((0.0, 0.5))
        cut = cut_power(disk, log, lambda: dice.random() < share)
        return Round(plan, found, written, acknowledged, cut)


def disk_options(disk: Path, log: Path) -> tuple[str, ...]:
    """QEMU's options for a disk whose cache the guest has to flush; every request is logged."""
    files = ",".join(
        f"{part}.driver=file,{part}.filename={str(path).replace(',', ',,')}"
        for part, path in (("file", disk), ("log", log))
    )
    return (
        "-blockdev",
        f"driver=blklogwrites,node-name=poweroff,log-super-update-interval=1,{files}",
        "-device",
        "virtio-blk-pci,drive=poweroff,write-cache=on,discard=off,write-zeroes=off",
    )


def wait_for_found(process: subprocess.Popen[bytes], exchange: Path, end: float) -> dict[str, Any]:
    """What the guest has found. Raises VmtestError when it comes to no result until ``end`` (monotonic)."""
    path = exchange / "found"
    while not path.exists():
        failed = (exchange / "status").exists() and not path.exists()
        if failed:
            raise VmtestError((exchange / "stderr").read_text(errors="replace"))
        if process.poll() is not None or time.monotonic() > end:
            raise VmtestError(machine.why_it_ended(exchange))
        time.sleep(machine.POLL_S)
    answer: dict[str, Any] = json.loads(path.read_text())
    return answer


def kill(process: subprocess.Popen[bytes]) -> None:
    """QEMU and what started it, at once; returns when none of them is left."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(process.pid, 0)
            time.sleep(machine.POLL_S)


def told(path: Path) -> tuple[int, int]:
    """Last record that was written, and last one that was acknowledged; zeros before the first word."""
    try:
        lines = path.read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return 0, 0
    whole = [line for line in lines if line.endswith("\n")]
    written, acknowledged = (int(text) for text in whole[-1].split()) if whole else (0, 0)
    return written, acknowledged


def report(rounds: list[Round]) -> list[str]:
    """The sum, and what is wrong."""
    cuts = [one for one in rounds if one.cut is not None]
    lost = sum(max(0, one.acknowledged - after.found["last"]) for one, after in pairwise(rounds))
    lines = [
        f"{len(cuts)} power cuts, {sum(one.acknowledged for one in cuts)} events acknowledged, {lost} lost"
    ]
    if "verify" in rounds[-1].found:
        lines.append(f"tracehound log verify: exit status {rounds[-1].found['verify']}")
    return lines + [
        f"boot {i}: {problem}" for i, one in enumerate(rounds) for problem in one.found["problems"]
    ]


def row(number: int, one: Round) -> str:
    """One boot in a line."""
    state = "; ".join(one.found["problems"]) or "intact"
    begin = (
        f"boot {number:2}  found {one.found['last']:6} of the boot before, {state} {one.found['segments']}"
    )
    if one.cut is None:
        return begin
    return (
        f"{begin}\n         sync {one.plan.fsync_seconds:g} s: {one.written} written, {one.acknowledged} "
        f"acknowledged; disk: {one.cut.flushes} flushes, {one.cut.dropped} sectors lost, {one.cut.kept} kept"
    )


if __name__ == "__main__":
    sys.exit(main())
