# SPDX-License-Identifier: Apache-2.0
"""Which program answers which question of the base sensor: the ways in order of their price, and what this
kernel's types and security modules rule out before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.kernel.btf import Btf
from agent.kernel.host import active_security_modules
from agent.kernel.mounts import read_mounts


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
    "cgroup_made": (Choice("mkdir_btf", "tp_btf"), Choice("mkdir_raw", "raw_tp")),
    "cgroup_removed": (Choice("rmdir_btf", "tp_btf"), Choice("rmdir_raw", "raw_tp")),
    "tasks": (Choice("tasks", "iter"),),
}
REQUIRED = ("fork", "exec", "exit")
"""Without these there is no sensor."""

Candidates = dict[str, tuple[Choice, ...]]
"""For each question what is still to be tried, cheapest first; never empty."""


@dataclass(frozen=True, slots=True)
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
    lsm_runs: bool
    """Whether BPF LSM programs are called: without `bpf` among the active security modules they attach and
    stay silent. Unknown counts as no."""
    counts_memlock: bool
    """Whether maps count against RLIMIT_MEMLOCK (before v5.11)."""
    preempts_tracepoints: bool = False
    """Whether a task can be preempted inside a tracepoint's program, which is then skipped for others: Linux
    kernel commit a46023d5616e "tracing: Guard __DECLARE_TRACE() use of __DO_TRACE_CALL() with SRCU-fast" (in
    v7.0); asked by the type of that guard."""

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
                lsm_runs="bpf" in (active_security_modules(read_mounts()) or ()),
                counts_memlock=btf.has_struct("bpf_map_memory"),
                preempts_tracepoints=btf.has_type("class_srcu_fast_notrace_t"),
            )


def candidates(facts: Facts) -> Candidates:
    """All ways that the facts do not rule out."""
    ruled_out = {
        "exec_btf": not facts.has_rdonly_cast,
        "privileges_btf": not facts.has_prepare_exec,
        "privileges_lsm": not facts.lsm_runs,
    }
    return {
        question: tuple(choice for choice in ways if not ruled_out.get(choice.program))
        for question, ways in QUESTIONS.items()
    }


def without_first(left: Candidates, question: str) -> Candidates:
    """After the first choice for a question was refused. Without another one the question is dropped."""
    rest = left[question][1:]
    others = {name: ways for name, ways in left.items() if name != question}
    return others | ({question: rest} if rest else {})


def seconds(chosen: dict[str, Choice], facts: Facts) -> dict[str, str]:
    """For each question the program that hangs behind the chosen one and does what the kernel skipped there
    (`enum turn` in kprobes/include/shared.h)."""
    if not facts.preempts_tracepoints:
        return {}
    return {
        question: f"{question}_again"
        for question, choice in chosen.items()
        if choice.program == f"{question}_btf"
    }


def needs_preallocation(facts: Facts) -> bool:
    """Whether maps that programs share must be preallocated: plain raw tracepoints and kprobes, those of
    policies among them, may run where older kernels cannot allocate, and the verifier warns of them (Linux
    kernel commit 94dacdbd5d2d "bpf: Tighten the requirements for preallocated hash maps" in v5.7)."""
    return not facts.safe_without_prealloc
