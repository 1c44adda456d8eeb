# SPDX-License-Identifier: Apache-2.0
"""Kernels that preempt tasks inside programs, and skip those for other tasks of the CPU meanwhile.

So do trampolines and raw tracepoints. Kprobes and tracepoints by perf events run without preemption (Linux
kernel/trace/bpf_trace.c, trace_call_bpf), LSM programs are never skipped since Linux kernel commit
271de525e1d7 "bpf: Remove prog->active check for bpf_lsm and bpf_iter" (in v6.2)."""

from __future__ import annotations

from agent.kernel.btf import Btf
from agent.kernel.mounts import read_kernel_file, read_mounts


def preempts_programs(kernel: Btf) -> bool:
    """Whether tasks are preempted in the kernel, BPF programs included. As it runs (`full` or `lazy` in
    debugfs, Linux kernel/sched/debug.c, sched_dynamic_show); where that is not told, as it is usual since
    v7.0, which has no other models on most architectures (Linux kernel commit 7dadeaa6e851 "sched: Further
    restrict the preemption modes")."""
    told = read_kernel_file("debugfs", "sched/preempt", read_mounts())
    if told is None:
        return kernel.has_type("class_srcu_fast_notrace_t")
    return "(full)" in told or "(lazy)" in told
