# SPDX-License-Identifier: Apache-2.0
"""Runs the tests marked ``kernel`` under each kernel and counts what was executed.

The counts come from JUnit XML written by pytest inside, not from what it prints. A kernel on which no case
was executed counts as failed: silence is not success. Guests run two at a time, each in the way of the other;
a case that failed then is run once more when its kernel has the machine for itself, and the table says so.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from vmtest import machine
from vmtest.kernels import ROOT, Kernel, VmtestError

RESULTS = ROOT / ".cache" / "test-results"
"""One JUnit file per kernel; ``make test-host`` writes ``host.xml`` next to them."""
TIMEOUT_S = 1500.0
"""For one kernel, boot included. Emulated CPUs are ten to twenty times slower than real ones."""


BESIDE_NICENESS = 5
"""Of guests while this machine runs tests of its own: those are timed by real clocks."""
AGAIN_MOST = 12
"""More failed cases than these are no accident of a busy machine."""


class Counts(NamedTuple):
    """Cases of one JUnit file; errors in set-up count as failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    @property
    def executed(self) -> int:
        """Cases that ran, whatever became of them."""
        return self.passed + self.failed


class Run(NamedTuple):
    """The tests' run in one place."""

    place: str
    """A kernel's label and version, or ``host``."""
    counts: Counts
    seconds: float | None
    problem: str
    """Why this run is no success although no case failed; empty when it is one."""
    failed: tuple[str, ...] = ()
    """Node ids of the cases that failed."""
    again: int = 0
    """Cases that failed, and passed when they ran once more."""


def read_counts(junit: Path) -> Counts:
    """Count the cases of a JUnit file."""
    cases = ElementTree.parse(junit).getroot().iter("testcase")
    passed = failed = skipped = 0
    for case in cases:
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    return Counts(passed, failed, skipped)


def failed_cases(junit: Path) -> tuple[str, ...]:
    """Node ids of the cases of a JUnit file that failed. Cases are functions of modules here."""
    cases = ElementTree.parse(junit).getroot().iter("testcase")
    failed = [case for case in cases if {child.tag for child in case} & {"failure", "error"}]
    names = [f"{(case.get('classname') or '').replace('.', '/')}.py::{case.get('name')}" for case in failed]
    return tuple(dict.fromkeys(names))


class Told:
    """Passes a guest's output on, each line with the kernel's name before it."""

    lock = threading.Lock()

    def __init__(self, label: str) -> None:
        self._label = f"{label:>5} | ".encode()
        self._rest = b""

    def write(self, data: bytes) -> int:
        """Whole lines at once."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        with self.lock:
            for line in lines:
                sys.stdout.buffer.write(self._label + line + b"\n")
            sys.stdout.buffer.flush()
        return len(data)

    def flush(self) -> None:
        """Lines are passed on when they are whole."""


def judge(counts: Counts, status: int, complaints: Sequence[str] = ()) -> str:
    """Why a run without failed cases is still not a success."""
    if complaints:
        return f"the kernel complained: {complaints[0]}"
    if status == machine.TIMED_OUT:
        return "did not finish in time"
    if counts.executed == 0:
        return "executed no case"
    if status != 0 and not counts.failed:
        return f"pytest ended with status {status}"
    return ""


def kernel_cases() -> dict[str, str]:
    """Node ids of the cases marked ``kernel``, with the group that each belongs to (tests/conftest.py)."""
    target = RESULTS / "cases.json"
    argv = [sys.executable, "-m", "pytest", "-m", "kernel", "--collect-only", "-q", "--color=no", "tests"]
    environment = {**os.environ, "VMTEST_LISTED": str(target)}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VmtestError(f"cannot collect the tests marked kernel:\n{done.stdout}{done.stderr}")
    found: dict[str, str] = json.loads(target.read_text())
    return found


def shared_out(cases: Mapping[str, str], count: int) -> list[list[str]]:
    """The cases of each of `count` kernels: those without a group for all, the groups by turns. The first,
    the oldest, takes a third longer for the same and has every second turn only."""
    groups = sorted({group for group in cases.values() if group})
    turns = [*range(count), *range(1, count)]
    turn = {group: turns[number % len(turns)] for number, group in enumerate(groups)}
    return [[case for case, group in cases.items() if turn.get(group, at) == at] for at in range(count)]


def files_of(cases: Iterable[str]) -> str:
    """Their files, as arguments for pytest: a guest imports nothing else."""
    return shlex.join(dict.fromkeys(case.partition("::")[0] for case in cases))


def run_one(kernel: Kernel, options: machine.Options, selection: str, suffix: str = "") -> Run:
    """Boot one kernel and run the tests there."""
    say(f"kernel {kernel.label} ({kernel.version}): booting")
    begin = time.monotonic()
    target = RESULTS / f"{kernel.label}{suffix}.xml"
    target.unlink(missing_ok=True)

    def keep(exchange: Path) -> None:
        if (exchange / "junit.xml").exists():
            shutil.copyfile(exchange / "junit.xml", target)

    # hypothesis is loaded by those who use it: as a plugin it costs every guest seven seconds.
    pytest = "python -u -m pytest -m kernel -p no:cacheprovider -p no:hypothesispytest --color=no"
    command = f"{pytest} --junitxml=$VMTEST_EXCHANGE/junit.xml {selection}"
    if options.timeout_s is None:
        options = replace(options, timeout_s=TIMEOUT_S)
    try:
        out, err = (cast(BinaryIO, Told(kernel.label)) for _ in range(2))
        outcome = machine.run(kernel, [command], options, stdout=out, stderr=err, collect=keep)
        counts = read_counts(target) if target.exists() else Counts()
        problem = judge(counts, outcome.status, outcome.complaints)
        timing = f"boot {outcome.boot_s:.0f} s, tests {outcome.command_s:.0f} s"
        for line in outcome.complaints:
            say(f"kernel {kernel.label} says: {line}")
    except VmtestError as error:
        counts, problem, timing = Counts(), str(error), "died"
    say(f"kernel {kernel.label}: {describe(counts)}{'; ' + problem if problem else ''} ({timing})")
    failed = failed_cases(target) if counts.failed else ()
    return Run(f"{kernel.label} ({kernel.version})", counts, time.monotonic() - begin, problem, failed)


def run_again(kernel: Kernel, options: machine.Options, first: Run) -> Run:
    """What failed, once more and alone."""
    if not first.failed or first.problem or len(first.failed) > AGAIN_MOST:
        return first
    say(f"kernel {kernel.label}: once more what failed: {', '.join(first.failed)}")
    second = run_one(kernel, options, shlex.join(first.failed), "-again")
    if second.problem:
        return first
    mended = first.counts.failed - second.counts.failed
    counts = Counts(first.counts.passed + mended, second.counts.failed, first.counts.skipped)
    took = (first.seconds or 0) + (second.seconds or 0)
    return Run(first.place, counts, took, "", second.failed, mended)


class Task(NamedTuple):
    """What one kernel is asked."""

    kernel: Kernel
    options: machine.Options
    selection: str
    """Arguments for pytest."""


def tasks(chosen: Sequence[Kernel], options: machine.Options, more: str, spread: bool) -> list[Task]:
    """Of each kernel: what is written in `more`, all cases marked ``kernel``, or its share of them."""
    if more:
        return [Task(kernel, options, more) for kernel in chosen]
    cases = kernel_cases()
    if not spread:
        return [Task(kernel, options, files_of(cases)) for kernel in chosen]
    found = []
    for kernel, own in zip(chosen, shared_out(cases, len(chosen)), strict=True):
        listed = RESULTS / f"{kernel.label}.cases.json"
        listed.write_text(json.dumps(own))
        told = {**options.environment, "VMTEST_CASES": str(listed)}
        found.append(Task(kernel, replace(options, environment=told), files_of(own)))
    return found


def run_beside(command: str) -> int:
    """A command on this machine while guests run; its exit status."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    told = Told("host")
    with process:
        for line in cast(BinaryIO, process.stdout):
            told.write(line)
    return process.returncode


def read_other(place: str, junit: Path) -> Run:
    """A run elsewhere; `NAME-again.xml` beside it is the second run of what failed."""
    if not junit.exists():
        return Run(place, Counts(), None, f"left no {junit.name}")
    counts, failed, mended = read_counts(junit), failed_cases(junit), 0
    second = junit.with_stem(f"{junit.stem}-again")
    if failed and second.exists():
        again = read_counts(second)
        mended, failed = counts.failed - again.failed, failed_cases(second)
        counts = Counts(counts.passed + mended, again.failed, counts.skipped)
    return Run(place, counts, None, "", failed, mended)


def run_all(
    chosen: Sequence[Kernel],
    options: machine.Options,
    more: str,
    others: Mapping[str, Path],
    jobs: int = 1,
    spread: bool = False,
    beside: str = "",
) -> int:
    """Run the tests under each kernel, `jobs` at a time; print a table and the sum.

    ``beside`` runs on this machine at the same time; the guests leave it the CPU. ``others`` are JUnit files
    of runs elsewhere, that one's among them, which the table counts too.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    own = tasks(chosen, options, more, spread)
    with ThreadPoolExecutor(jobs + 1) as pool:
        try:
            other = pool.submit(run_beside, beside) if beside else None
            first = list(run_guests(own, jobs, BESIDE_NICENESS if beside else 0))
            status = other.result() if other else 0
        except BaseException:
            machine.LEAVING.set()
            raise
    runs = [read_other(place, junit) for place, junit in others.items()]
    runs += [run_again(kernel, options, run) for kernel, run in zip(chosen, first, strict=True)]
    print("\n".join(table(runs)), flush=True)
    if status:
        say(f"{beside}: ended with status {status}")
    return int(bool(status) or any(run.problem or run.counts.failed for run in runs))


def run_guests(own: Sequence[Task], jobs: int, niceness: int) -> Iterator[Run]:
    """The first run of each kernel."""
    with ThreadPoolExecutor(jobs) as guests:
        yield from guests.map(
            lambda task: run_one(task.kernel, replace(task.options, niceness=niceness), task.selection), own
        )


def table(runs: Iterable[Run]) -> list[str]:
    """A line per run, then the sum in a form that test runners' readers know."""
    lines = ["", "executed cases:"]
    passed = failed = skipped = 0
    for run in runs:
        took = f"{run.seconds:5.0f} s" if run.seconds is not None else " " * 7
        lines.append(f"  {run.place:28} {run.counts.executed:5} {took}  {describe(run.counts)}")
        if run.problem:
            lines.append(f"  {'':28} {run.problem.splitlines()[0]}")
        if run.again:
            lines.append(f"  {'':28} {run.again} of them only when run once more, alone")
        lines += [f"  {'':28} failed: {name}" for name in run.failed]
        passed += run.counts.passed
        # A run that did not even start is a failure of its own.
        failed += run.counts.failed + (1 if run.problem else 0)
        skipped += run.counts.skipped
    return [*lines, "", f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")]


def describe(counts: Counts) -> str:
    """The counts in words."""
    return f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped"


def say(text: str) -> None:
    """A progress line with the time of day."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)
