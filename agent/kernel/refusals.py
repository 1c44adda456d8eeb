# SPDX-License-Identifier: Apache-2.0
"""Why a kernel refuses what others take, and the way out: the hint under the error."""

from __future__ import annotations

import errno

from agent.errors import KernelRefused
from agent.kernel.host import Host

CAN_LOAD = "CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN)"
_DOCTOR = "`tracehound doctor` shows what this kernel offers"


def explained(error: KernelRefused, host: Host, *, counts_memlock: bool) -> KernelRefused:
    """The same error with a hint that names the cause, as far as the host's state tells it."""
    hint = hint_for(error.errno, host, counts_memlock=counts_memlock)
    return KernelRefused(error.message, error.errno, error.log_tail, error.hint or hint)


def hint_for(number: int, host: Host, *, counts_memlock: bool) -> str:
    """The most likely way out for an errno from loading or attaching."""
    if host.lockdown == "confidentiality":
        # LOCKDOWN_BPF_READ_KERNEL, linux/security.h: the helpers that read kernel memory are withheld
        return (
            "kernel lockdown is `confidentiality`, which keeps BPF from reading kernel memory: boot with "
            "lockdown=integrity, or without"
        )
    if counts_memlock and number in (errno.EPERM, errno.ENOMEM) and "sys_resource" not in host.capabilities:
        limit = f"{host.memlock_bytes:,} bytes" if host.memlock_bytes is not None else "its hard limit"
        return (
            f"this kernel counts BPF maps as locked memory, limited to {limit}: give CAP_SYS_RESOURCE, or "
            "LimitMEMLOCK=infinity in the unit"
        )
    if number == errno.ENOMEM:
        return "not enough memory: lower kernel.ring_bytes or kernel.process_entries"
    if "sys_admin" not in host.capabilities:
        # libbpf lists the modules' BTF for kernel functions that the kernel itself lacks, which asks for it,
        # and the errno that comes out of that is not always EPERM (libbpf 1.1, load_module_btfs)
        return "without CAP_SYS_ADMIN this kernel may refuse what it takes with it: start it with sudo"
    return _DOCTOR


def reason(error: KernelRefused, kind: str) -> str:
    """A refusal in a few words, for a notice."""
    if error.errno == errno.E2BIG and kind in ("fentry", "fexit", "fmod_ret", "lsm"):
        # kernel/bpf/trampoline.c: BPF_MAX_TRAMP_LINKS (38; 40 before v5.19)
        return "other programs hold all places of its trampoline"
    first = error.message.splitlines()[0]
    return first.rpartition(": ")[2] if ": " in first else first
