# SPDX-License-Identifier: Apache-2.0
"""Tries with programs that do nothing: does this kernel take one of this kind at all, and for this target?"""

from __future__ import annotations

import os

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel import tiny
from agent.kernel.btf import Btf
from agent.kernel.probes import HELPERS, HOOKS, Answer

KINDS = {
    "kretprobe": "kprobe",
    "sys_enter": "raw_tp",
    "sys_exit": "raw_tp",
}
"""Kinds of attachment that are a known kind of program."""
BY_BTF = frozenset(kind for kind, form in tiny.TYPES.items() if form.prefix is not None)
_UNKNOWN = Answer(None, "not tried: needs CAP_BPF and CAP_PERFMON")


def offers(kind: str, btf: Btf, *, lsm_runs: bool, may_load: bool) -> Answer:
    """Whether programs of this kind can be loaded and attached."""
    kind = KINDS.get(kind, kind)
    if kind == "lsm" and not lsm_runs:
        return Answer(False, "bpf is not an active LSM: programs would load and never run")
    if not may_load:
        return _UNKNOWN
    try:
        with tiny.attached(kind, HOOKS[kind], btf):
            return Answer(True)
    except (KernelUnsupported, KernelRefused) as error:
        return Answer(False, _why(error))


def takes(kind: str, target: str, btf: Btf, *, attach: bool = False) -> Answer:
    """Whether the verifier accepts such a program for this target; with `attach`, whether it can be attached
    as well (which takes the kernel some milliseconds)."""
    try:
        if attach:
            with tiny.attached(kind, target, btf):
                return Answer(True)
        os.close(tiny.load(kind, target, btf))
    except (KernelUnsupported, KernelRefused) as error:
        return Answer(False, _why(error))
    return Answer(True)


def helper(name: str, btf: Btf, *, may_load: bool) -> Answer:
    """Whether a helper of probes.HELPERS may be called by the kind of program that needs it."""
    if not may_load:
        listed = btf.enum_value("bpf_func_id", name.replace("bpf_", "BPF_FUNC_", 1)) is not None
        return _UNKNOWN if listed else Answer(False, "not in this kernel")
    number, kind = HELPERS[name]
    there = tiny.knows_helper(kind, HOOKS[kind], btf, number)
    return Answer(there, "" if there else f"not offered to {kind} programs")


def _why(error: KernelUnsupported | KernelRefused) -> str:
    """The verifier's last words, else the errno's."""
    if isinstance(error, KernelUnsupported):
        return error.message
    lines = [
        line for line in error.log_tail.splitlines() if line.strip() and not line.startswith("processed ")
    ]
    return lines[-1].strip() if lines else f"refused: {os.strerror(error.errno)}"
