# SPDX-License-Identifier: Apache-2.0
"""What the agent and its children take, from /proc (proc(5)). Everybody may read these files; where /proc
hides others' processes (hidepid) there are no figures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from agent.metrics.family import COUNTER, GAUGE, Family, rows

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ROLES = (
    ("agent.api.server", "api"),
    ("agent.metrics.server", "metrics"),
    ("agent.identity", "identity"),
    ("agent.detect", "detect"),
    ("agent.store.compact", "compactor"),
)
"""Module in the command line -> what it is called here."""
_EXPORTER = re.compile(r"([^/]+?)(?:\.ya?ml)?$")


def families(pid: int, proc: Path = Path("/proc")) -> Iterator[Family]:
    """`pid`: the agent's, as seen from here."""
    found = [(role, *taken) for role, one in _members(pid, proc) if (taken := _taken(proc / str(one)))]
    memory = (((role,), float(memory)) for role, memory, _ in found)
    help = "Resident memory in bytes; pages that processes share count for each."
    yield rows("process_resident_memory_bytes", GAUGE, help, ("process",), memory)
    cpu = (((role,), cpu) for role, _, cpu in found)
    yield rows("process_cpu_seconds", COUNTER, "CPU time of those that run, in seconds.", ("process",), cpu)


def _members(pid: int, proc: Path) -> Iterator[tuple[str, int]]:
    yield "agent", pid
    try:
        children = (proc / str(pid) / "task" / str(pid) / "children").read_text().split()
    except OSError:  # also where the kernel lacks CONFIG_PROC_CHILDREN
        return
    for child in map(int, children):
        yield _role(proc / str(child)), child


def _role(place: Path) -> str:
    try:
        words = (place / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "other"
    if "exporters" in words and "--exporter" in words[:-1]:
        found = _EXPORTER.search(words[words.index("--exporter") + 1])
        return f"exporter {found[1]}" if found else "exporter"
    return next((role for module, role in _ROLES if module in words), "other")


def _taken(place: Path) -> tuple[int, float] | None:
    """(resident bytes, CPU seconds); None when it is gone."""
    try:
        resident = int((place / "statm").read_text().split()[1]) * _PAGE_BYTES
        fields = (place / "stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError):
        return None
    return resident, (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # utime and stime
