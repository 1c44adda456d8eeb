# SPDX-License-Identifier: Apache-2.0
"""Whether hooks need a second dispatcher (agent/kernel/dispatch.py), and what the two share."""

from __future__ import annotations

from agent.kernel import dispatch
from agent.kernel.btf import Btf
from agent.kernel.mapfill import ARRAY, make_map
from agent.kernel.mounts import read_kernel_file, read_mounts
from agent.kernel.objects import BpfMap, BpfObject
from agent.kernel.template import MapForm

SKIPPED = ("fentry", "fexit", "fmod_ret", "tp_btf", "raw_tp", "sys_enter", "sys_exit")
"""Kinds whose programs the kernel skips while another task is preempted in them. Kprobes and tracepoints by
perf events run without preemption (Linux kernel/trace/bpf_trace.c, trace_call_bpf), LSM programs are never
skipped since Linux kernel commit 271de525e1d7 "bpf: Remove prog->active check for bpf_lsm and bpf_iter" (in
v6.2)."""
_WORD, _WORDS = 8, 8
"""struct marks of kprobes/marks.bpf.c."""


class StandIns:
    """For all hooks of an agent."""

    def __init__(self) -> None:
        self._needed: bool | None = None
        self._object: BpfObject | None = None
        self._given = 0

    def mark(self, kind: str, kernel: Btf) -> tuple[dispatch.Mark, BpfMap] | None:
        """What the two dispatchers of one more hook share, and their count, which is the caller's; None
        where one is enough. Raises KernelRefused."""
        if kind not in SKIPPED or not self._are_needed(kernel):
            return None
        if self._object is None:
            self._object = BpfObject("marks.bpf.o")
            self._object.load()
        count = make_map("th_stood_in", MapForm(ARRAY, 4, 8, 1, 0))
        self._given += 1
        return dispatch.Mark(self._object.map("marks").fd, self._given % _WORDS * _WORD, count.fd), count

    def close(self) -> None:
        """Programs that run keep what they use."""
        if self._object:
            self._object.close()
            self._object = None

    def _are_needed(self, kernel: Btf) -> bool:
        if self._needed is None:
            self._needed = preempts_programs(kernel) and kernel.has_function("bpf_task_storage_get")
        return self._needed


def preempts_programs(kernel: Btf) -> bool:
    """Whether tasks are preempted in the kernel, BPF programs included. As it runs (`full` or `lazy` in
    debugfs, Linux kernel/sched/debug.c, sched_dynamic_show); where that is not told, as it is usual since
    v7.0, which has no other models on most architectures (Linux kernel commit 7dadeaa6e851 "sched: Further
    restrict the preemption modes")."""
    told = read_kernel_file("debugfs", "sched/preempt", read_mounts())
    if told is None:
        return kernel.has_type("class_srcu_fast_notrace_t")
    return "(full)" in told or "(lazy)" in told
