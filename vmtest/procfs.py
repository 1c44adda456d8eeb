# SPDX-License-Identifier: Apache-2.0
"""What /proc says about an agent: its processes, CPU time, memory, BPF programs and maps.

Formats: proc_pid_stat(5), proc_pid_smaps(5); fdinfo of BPF objects: Linux kernel, bpf_map_show_fdinfo and
bpf_prog_show_fdinfo in kernel/bpf/syscall.c.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
RING_MAPPINGS = ("anon_inode:bpf-map", "anon_inode:[perf_event]")
"""Mappings of ring and perf buffers: kernel memory that every reader's PSS counts once more."""


class Stat(NamedTuple):
    """The fields used here of /proc/PID/stat."""

    pid: int
    parent: int
    waited_ticks: int
    """User and system time of children that ended, in clock ticks."""


class BpfMap(NamedTuple):
    """A map that a process holds open."""

    map_id: int
    bytes: int
    """What the kernel charges for it: exact since 6.4, an estimate before."""


class BpfProgram(NamedTuple):
    """A program that a process holds open; times need ``kernel.bpf_stats_enabled``."""

    prog_id: int
    run_ns: int
    runs: int
    bytes: int


def parse_stat(text: str) -> Stat:
    """A process's name may hold spaces and parentheses: fields are counted from the last one."""
    head, _, tail = text.rpartition(") ")
    fields = tail.split()
    return Stat(int(head.split()[0]), int(fields[1]), int(fields[13]) + int(fields[14]))


def parse_fields(text: str) -> dict[str, str]:
    """``name:<blank>value`` lines."""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def pss_kb(smaps: str) -> int:
    """Proportional set size without ring-buffer mappings, in KiB."""
    total, counted = 0, True
    for line in smaps.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counted = not line.endswith(RING_MAPPINGS)
        elif counted and line.startswith("Pss:"):
            total += int(line.split()[1])
    return total


def tree(root: int) -> list[Stat]:
    """A process and its descendants."""
    everyone = []
    for path in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            everyone.append(parse_stat(path.read_text()))
    family = {root}
    while grown := {s.pid for s in everyone if s.parent in family} - family:
        family |= grown
    return [s for s in everyone if s.pid in family]


def cpu_ns(root: int) -> int:
    """CPU time of a process tree, in ns.

    Living threads are exact (schedstat); children that ended count in clock ticks of 10 ms.
    """
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    total = 0
    for stat in tree(root):
        total += stat.waited_ticks * tick_ns
        for path in (PROC / str(stat.pid) / "task").glob("*/schedstat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                total += int(path.read_text().split()[0])
    return total


def fdinfo(root: int) -> Iterator[dict[str, str]]:
    """The fdinfo of every open file of a process tree."""
    for stat in tree(root):
        for path in (PROC / str(stat.pid) / "fdinfo").glob("*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield parse_fields(path.read_text())


def bpf_maps(root: int) -> dict[int, BpfMap]:
    """Maps by id; one that is open twice counts once."""
    found = (BpfMap(int(f["map_id"]), int(f.get("memlock", 0))) for f in fdinfo(root) if "map_type" in f)
    return {m.map_id: m for m in found}


def bpf_programs(root: int) -> dict[int, BpfProgram]:
    """Programs by id."""
    found = (
        BpfProgram(
            int(f["prog_id"]),
            int(f.get("run_time_ns", 0)),
            int(f.get("run_cnt", 0)),
            int(f.get("memlock", 0)),
        )
        for f in fdinfo(root)
        if "prog_jited" in f
    )
    return {p.prog_id: p for p in found}


def memory_kb(root: int) -> dict[str, int]:
    """PSS without ring buffers, and the largest resident set of the tree's processes so far, in KiB."""
    pss = peak = 0
    for stat in tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pss += pss_kb((PROC / str(stat.pid) / "smaps").read_text())
            status = parse_fields((PROC / str(stat.pid) / "status").read_text())
            peak += int(status.get("VmHWM", "0 kB").split()[0])
    return {"pss_kb": pss, "peak_rss_kb": peak}
