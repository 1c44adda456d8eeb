# SPDX-License-Identifier: Apache-2.0
"""Kernels that preempt tasks inside programs, and skip those for other tasks of the CPU meanwhile.

So do trampolines and raw tracepoints. Kprobes and tracepoints by perf events run without preemption (Linux
kernel/trace/bpf_trace.c, trace_call_bpf), LSM programs are never skipped since Linux kernel commit
271de525e1d7 "bpf: Remove prog->active check for bpf_lsm and bpf_iter" (in v6.2)."""

from __future__ import annotations

import os
from pathlib import Path

from agent.kernel.btf import Btf
from agent.kernel.mounts import read_kernel_file, read_mounts

_COMMAND_LINE = Path("/proc/cmdline")


def preempts_programs(kernel: Btf) -> bool:
    """Whether tasks are preempted in the kernel, BPF programs included: as debugfs tells (Linux
    kernel/sched/debug.c, sched_dynamic_show), else as the kernel was built and booted."""
    told = read_kernel_file("debugfs", "sched/preempt", read_mounts())
    if told is not None:
        return "(full)" in told or "(lazy)" in told
    return was_built_to_preempt(os.uname().version, _command_line(), kernel)


def was_built_to_preempt(version: str, command_line: str, kernel: Btf) -> bool:
    """By uname(2)'s version (Linux init/Makefile: PREEMPT, PREEMPT_RT, PREEMPT_DYNAMIC). A dynamic one does
    as it was booted, by itself from v7.0 on: Linux kernel commit 7dadeaa6e851 "sched: Further restrict the
    preemption modes", told from others by what the same version brought to tracepoints."""
    if "PREEMPT_DYNAMIC" not in version:
        return "PREEMPT" in version
    asked = {"preempt=full", "preempt=lazy"} & set(command_line.split())
    return bool(asked) or kernel.has_type("class_srcu_fast_notrace_t")


def _command_line() -> str:
    try:
        return _COMMAND_LINE.read_text()
    except OSError:
        return ""
