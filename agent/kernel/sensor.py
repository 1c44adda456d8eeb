# SPDX-License-Identifier: Apache-2.0
"""The base sensor: chooses for each question the cheapest program that this kernel takes, loads and attaches
them, and tells what it chose."""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from agent.errors import KernelRefused, KernelUnsupported, PermissionMissing
from agent.kernel.btf import Btf
from agent.kernel.cgroups import container_hierarchy
from agent.kernel.libbpf import libbpf
from agent.kernel.links import attached_program_ids, program_id, program_info
from agent.kernel.objects import BpfObject
from agent.kernel.pins import open_pinned_processes, pin_processes
from agent.kernel.ring import Ring
from agent.settings import KernelSettings

CONFIG = struct.Struct("=QQIIIBBBB")
"""struct config of kprobes/include/wire.h."""
BPF_F_NO_PREALLOC = 1
HOOKS = ("exec", "fork", "exit", "chunk", "privileges", "flood")
CAUSES = ("ring_full", "map_full", "scratch_busy", "shed")
_HOOK_COUNT = 8
_SENT = len(CAUSES) * _HOOK_COUNT
_COUNTERS = _SENT + _HOOK_COUNT


class Choice(NamedTuple):
    """One way to answer a question."""

    program: str
    kind: str
    """How it is attached, in words."""


QUESTIONS: dict[str, tuple[Choice, ...]] = {
    # cheapest first; see DESIGN decision 3
    "fork": (Choice("fork_btf", "tp_btf"), Choice("fork_raw", "raw_tp")),
    "exec": (Choice("exec_btf", "tp_btf"), Choice("exec_btf_read", "tp_btf"), Choice("exec_raw", "raw_tp")),
    "exit": (Choice("exit_btf", "tp_btf"), Choice("exit_raw", "raw_tp")),
    "privileges": (
        Choice("privileges_btf", "tp_btf"),
        Choice("privileges_fentry", "fentry"),
        Choice("privileges_lsm", "lsm"),
        Choice("privileges_kprobe", "kprobe"),
    ),
    "tasks": (Choice("tasks", "iter"),),
}
REQUIRED = ("fork", "exec", "exit")


@dataclass(slots=True)
class Attached:
    """A program of the sensor and how it stands."""

    question: str
    choice: Choice
    program_id: int = 0
    attached: bool = False
    refused: str = ""
    """Why it is not attached."""


@dataclass(slots=True)
class Facts:
    """What was asked of this kernel before loading."""

    exit_has_group_dead: bool
    has_rdonly_cast: bool
    has_prepare_exec: bool
    safe_without_prealloc: bool
    """Map entries can be allocated in any context: Linux kernel commit 7c8199e24fa0 "bpf: Introduce any
    context BPF specific memory allocator" (in v6.1); asked by the type's existence."""
    pids_subsystem: int | None
    memory_subsystem: int | None
    host_ns: list[int] = field(default_factory=list)

    @classmethod
    def of_this_kernel(cls) -> Facts:
        """Raises KernelUnsupported where there is no BTF."""
        with Btf.of_kernel() as btf:
            return cls(
                exit_has_group_dead=btf.tracepoint_arguments("sched_process_exit") >= 2,
                has_rdonly_cast=btf.has_function("bpf_rdonly_cast"),
                has_prepare_exec=btf.has_tracepoint("sched_prepare_exec"),
                safe_without_prealloc=btf.has_struct("bpf_mem_alloc"),
                pids_subsystem=btf.enum_value("cgroup_subsys_id", "pids_cgrp_id"),
                memory_subsystem=btf.enum_value("cgroup_subsys_id", "memory_cgrp_id"),
            )


class Sensor:
    """The loaded base sensor. `open` loads and attaches; `close` leaves nothing attached or pinned behind,
    unless a pin directory was set."""

    def __init__(self, settings: KernelSettings) -> None:
        self._settings = settings
        self.programs: dict[str, Attached] = {}
        self.notices: list[str] = []
        self.ring: Ring
        self._object: BpfObject

    def open(self) -> None:
        """Raises PermissionMissing, KernelUnsupported or KernelRefused, each with cause and way out."""
        _require_capabilities()
        facts = Facts.of_this_kernel()
        ways = _first_ways(facts)
        while True:
            try:
                self._load(facts, ways)
                break
            except KernelRefused as error:
                ways = self._next_ways(ways, error)
        self.ring = Ring(self._object.map("events").fd, self._settings.ring_bytes)
        self._counters = self._object.map("counters")
        self._control = self._object.map("control")
        self._processes = self._object.map("processes")
        for question in ("fork", "exit", "exec", "privileges"):
            self._attach(question)

    def _load(self, facts: Facts, ways: dict[str, int]) -> None:
        settings = self._settings
        self._object = BpfObject("base.bpf.o")
        chosen = {question: QUESTIONS[question][way] for question, way in ways.items()}
        self._object.select({choice.program for choice in chosen.values()})
        self._object.set_constants(
            ".rodata.config",
            CONFIG.pack(
                settings.ring_bytes,
                0,
                settings.arguments_bytes,
                settings.environment_bytes,
                container_hierarchy(facts.pids_subsystem, facts.memory_subsystem),
                facts.exit_has_group_dead,
                facts.has_rdonly_cast,
                0,
                0,
            ),
        )
        self._object.set_entries("events", settings.ring_bytes)
        self._object.set_entries("processes", settings.process_entries)
        plain = any(choice.kind in ("raw_tp", "kprobe") for choice in chosen.values())
        if plain and not facts.safe_without_prealloc:
            self._object.set_map_flags("processes", 0)
        if settings.pin_dir:
            fd, notice = open_pinned_processes(Path(settings.pin_dir))
            if fd >= 0:
                self._object.reuse("processes", fd)
                os.close(fd)
            if notice:
                self.notices.append(notice)
        try:
            self._object.load()
        except KernelRefused:
            self._object.close()
            raise
        if settings.pin_dir:
            pin_processes(self._object, Path(settings.pin_dir))
        self.programs = {
            question: Attached(question, choice, program_id(self._object.program_fd(choice.program)))
            for question, choice in chosen.items()
        }

    def _next_ways(self, ways: dict[str, int], error: KernelRefused) -> dict[str, int]:
        """The next cheapest choice for the question whose program was refused, told by libbpf's message."""
        text = "\n".join(libbpf().messages)
        for question, way in ways.items():
            program = QUESTIONS[question][way].program
            if f"prog '{program}'" not in text:
                continue
            rest = dict(ways)
            if way + 1 < len(QUESTIONS[question]):
                rest[question] = way + 1
                return rest
            if question not in REQUIRED:
                del rest[question]
                self.notices.append(f"{question}: not available on this kernel ({os.strerror(error.errno)})")
                return rest
        raise error

    def _attach(self, question: str) -> None:
        entry = self.programs.get(question)
        error = self._try_attach(entry) if entry else None
        if error is None:
            return
        if question in REQUIRED:
            self.close()
            raise error
        self.notices.append(f"{question}: {error.message.splitlines()[0]}")

    def _try_attach(self, entry: Attached) -> KernelRefused | None:
        try:
            self._object.attach(entry.choice.program)
        except KernelRefused as error:
            entry.attached, entry.refused = False, error.message
            return error
        entry.attached, entry.refused = True, ""
        return None

    def existing_tasks(self) -> bytes:
        """Output of the task iterator, empty where it did not load."""
        return self._object.run_iterator("tasks") if "tasks" in self.programs else b""

    def verify_attached(self) -> list[Attached]:
        """Asks the kernel which of our programs still hang on a hook; those found gone are attached again,
        now and at every later call until it works. Returns the programs whose state changed."""
        alive = attached_program_ids()
        changed = []
        for entry in self.programs.values():
            if entry.choice.kind == "iter" or (entry.attached and entry.program_id in alive):
                continue
            was = entry.attached
            self._object.detach(entry.choice.program)
            self._try_attach(entry)
            if was or entry.attached:
                changed.append(entry)
        return changed

    def losses(self) -> dict[tuple[str, str], int]:
        """What was not sent since start, by (cause, hook), from the kernel's counters."""
        totals = self._totals()
        return {
            (cause, hook): totals[c * _HOOK_COUNT + h]
            for c, cause in enumerate(CAUSES)
            for h, hook in enumerate(HOOKS)
            if totals[c * _HOOK_COUNT + h]
        } | self._missed()

    def sent(self) -> dict[str, int]:
        """Records sent since start, by hook."""
        totals = self._totals()
        return {hook: totals[_SENT + h] for h, hook in enumerate(HOOKS) if totals[_SENT + h]}

    def shed(self, step: int) -> None:
        """Tells the programs what to refuse (enum shed_step)."""
        self._control.update(struct.pack("=I", 0), struct.pack("=II", step, 0))

    def process_entries(self) -> int:
        """Entries of the process map; walks it, so not for the hot path."""
        return len(self._processes.keys())

    def map_fd(self, name: str) -> int:
        """For tests and later policies: a shared map of the sensor."""
        return self._object.map(name).fd

    def forget(self, question: str) -> None:
        """Detaches one program, as somebody else might (used to try the repair)."""
        self._object.detach(self.programs[question].choice.program)

    def detach(self) -> None:
        """Detaches everything; what was sent can still be read."""
        for entry in self.programs.values():
            self._object.detach(entry.choice.program)
            entry.attached = False

    def close(self) -> None:
        """Detaches and frees everything that is not pinned."""
        if hasattr(self, "ring"):
            self.ring.close()
        if hasattr(self, "_object"):
            self._object.close()

    def _totals(self) -> list[int]:
        cpus = libbpf().libbpf_num_possible_cpus()
        totals = []
        for slot in range(_COUNTERS):
            value = self._counters.lookup(struct.pack("=I", slot), 8 * cpus) or b""
            totals.append(sum(struct.unpack(f"={cpus}Q", value)))
        return totals

    def _missed(self) -> dict[tuple[str, str], int]:
        """Runs that the kernel skipped because the program was already running on that CPU."""
        found = {}
        for question, entry in self.programs.items():
            if entry.choice.kind != "iter":
                misses = program_info(self._object.program_fd(entry.choice.program)).recursion_misses
                if misses:
                    found["recursion", question] = misses
        return found


def _first_ways(facts: Facts) -> dict[str, int]:
    """Index of the first choice for each question, skipping what the kernel's types rule out."""
    return {
        "fork": 0,
        "exec": 0 if facts.has_rdonly_cast else 1,
        "exit": 0,
        "privileges": 0 if facts.has_prepare_exec else 1,
        "tasks": 0,
    }


def _require_capabilities() -> None:
    """CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN): bits 39, 38 and 21 of CapEff."""
    if sys.platform != "linux":
        raise KernelUnsupported("Tracehound needs Linux")
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    if effective >> 21 & 1 or (effective >> 39 & 1 and effective >> 38 & 1):
        return
    who = "root without these capabilities" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    raise PermissionMissing(
        f"loading BPF programs needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN); this is {who}",
        "start it with sudo, or give the service AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE",
    )
