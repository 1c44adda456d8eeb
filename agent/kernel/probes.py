# SPDX-License-Identifier: Apache-2.0
"""Existence tests of what this kernel offers to BPF: by loading and attaching a program that does nothing,
and by asking the kernel's BTF. Versions are never compared."""

from __future__ import annotations

import os
from typing import NamedTuple

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel import tiny
from agent.kernel.btf import Btf
from agent.kernel.libbpf import libbpf


class Answer(NamedTuple):
    """What is known of one feature."""

    there: bool | None
    """None: cannot be told without capabilities."""
    reason: str = ""
    """Why it is not there, or where it comes from."""


QUIET = "security_task_getscheduler"
"""A function that is called rarely, with an LSM hook of the same name, in all kernels since 5.10: what hangs
on it for a moment disturbs nobody."""
HOOKS = {
    "kprobe": QUIET,
    "kprobe.multi": QUIET,
    "tracepoint": "sched:sched_process_exec",
    "raw_tp": "sched_process_exec",
    "tp_btf": "sched_process_exec",
    "fentry": QUIET,
    "fexit": QUIET,
    "fmod_ret": QUIET,
    "lsm": QUIET.removeprefix("security_"),
    "iter": "task",
}
"""Where each kind of program is tried."""
HELPERS = {
    # name: (number in enum bpf_func_id, kind of program that needs it)
    "bpf_override_return": (58, "kprobe"),
    "bpf_send_signal": (109, "raw_tp"),
    "bpf_task_storage_get": (156, "tp_btf"),
    "bpf_get_current_task_btf": (158, "tp_btf"),
    "bpf_loop": (181, "raw_tp"),
}
_MAP_TYPE_RINGBUF = 27
NOT_TRIED = "not tried: needs CAP_BPF and CAP_PERFMON"


def probe_programs(btf: Btf, security_modules: tuple[str, ...] | None) -> dict[str, Answer]:
    """Loads and attaches one program of each kind of `tiny.TYPES`."""
    answers = {kind: _try_program(kind, hook, btf) for kind, hook in HOOKS.items()}
    if answers["lsm"].there and (security_modules is None or "bpf" not in security_modules):
        why = (
            "unknown whether bpf is an active LSM" if security_modules is None else "bpf is not an active LSM"
        )
        answers["lsm"] = Answer(False, f"{why}: programs would load and never run")
    return answers


def guess_programs(btf: Btf) -> dict[str, Answer]:
    """The same without capabilities: only what BTF rules out is known."""
    prefixes = {kind: form.prefix for kind, form in tiny.TYPES.items()}
    answers = {}
    for kind, hook in HOOKS.items():
        answers[kind] = Answer(None, NOT_TRIED)
        prefix = prefixes[kind]
        there = btf.has_tracepoint(hook) if kind == "tp_btf" else btf.has_function(f"{prefix}{hook}")
        if prefix is not None and not there:
            answers[kind] = Answer(False, f"{prefix}{hook} is not in the kernel's BTF")
    return answers


def probe_helpers(btf: Btf) -> dict[str, Answer]:
    """Helpers and other parts that programs use."""
    answers = {}
    for name, (number, kind) in HELPERS.items():
        there = tiny.knows_helper(kind, HOOKS[kind], btf, number)
        answers[name] = Answer(there, "" if there else f"not offered to {kind} programs")
    ring = libbpf().libbpf_probe_bpf_map_type(_MAP_TYPE_RINGBUF, None)
    answers["ring buffer"] = Answer(ring == 1, "" if ring == 1 else "no such map type")
    return answers | _from_btf(btf)


def guess_helpers(btf: Btf) -> dict[str, Answer]:
    """The same without capabilities: what is not even in the kernel's enumerations does not exist."""
    names = {name: ("bpf_func_id", name.replace("bpf_", "BPF_FUNC_", 1)) for name in HELPERS}
    names["ring buffer"] = ("bpf_map_type", "BPF_MAP_TYPE_RINGBUF")
    unknown, absent = Answer(None, NOT_TRIED), Answer(False, "not in this kernel")
    answers = {name: absent if btf.enum_value(*at) is None else unknown for name, at in names.items()}
    return answers | _from_btf(btf)


def _from_btf(btf: Btf) -> dict[str, Answer]:
    cast = btf.has_function("bpf_rdonly_cast")
    prepare = btf.has_tracepoint("sched_prepare_exec")
    links = btf.enum_value("bpf_link_type", "BPF_LINK_TYPE_PERF_EVENT") is not None
    return {
        "sched_prepare_exec": Answer(prepare, "" if prepare else "no such tracepoint"),
        "bpf_rdonly_cast": Answer(cast, "" if cast else "no such kernel function"),
        "pinnable kprobe links": Answer(
            links, "" if links else "kprobes and tracepoints hang on perf events"
        ),
    }


def needs_memlock(btf: Btf) -> bool:
    """Whether maps and programs count against RLIMIT_MEMLOCK: Linux kernel commit 3ac1f01b43b6 "bpf:
    Eliminate rlimit-based memory accounting for bpf progs" (in v5.11) and its series removed the struct."""
    return btf.has_struct("bpf_map_memory")


def _try_program(kind: str, hook: str, btf: Btf) -> Answer:
    try:
        with tiny.attached(kind, hook, btf):
            return Answer(True)
    except KernelUnsupported as error:
        return Answer(False, error.message)
    except KernelRefused as error:
        return Answer(False, f"refused: {os.strerror(error.errno)}")
