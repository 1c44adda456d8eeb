# SPDX-License-Identifier: Apache-2.0
"""What files under /proc and /sys say about this host: no program is loaded and no capability needed, though
some files show less without root."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.kernel.mounts import PLACES, Mount, directories_of, read_kernel_file, read_mounts

CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control",
    "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
    "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip
"""By bit, from linux/capability.h."""
_HOST_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO, linux/proc_ns.h: the inode number of the first pid namespace."""


@dataclass(frozen=True, slots=True)
class Host:
    """Facts of a host. A str is empty and an int None where the file cannot be read."""

    release: str
    """`uname -r`, to be shown and never compared."""
    machine: str
    capabilities: frozenset[str]
    """Effective ones of this process, lower case without `cap_`."""
    euid: int
    lockdown: str
    """`none`, `integrity`, `confidentiality`, `absent` (not built in or not active) or empty (unknown)."""
    security_modules: tuple[str, ...] | None
    """The active ones in order; None when it is unknown."""
    cgroups: str
    """`v2`, `v1`, `hybrid` or `none`."""
    mounts: dict[str, str]
    """Mount point by file system, of those in `mounts.PLACES`; empty where it is not mounted."""
    host_pids: bool | None
    """Whether we are in the first pid namespace."""
    jit: int | None
    """net.core.bpf_jit_enable; None: not readable, or always on (CONFIG_BPF_JIT_ALWAYS_ON)."""
    statistics: bool | None
    """Whether run times of programs are measured (kernel.bpf_stats_enabled)."""
    memlock_bytes: int | None
    """Hard limit of locked memory, None: unlimited."""


def read_host(proc: Path = Path("/proc")) -> Host:
    """Everything at once; what cannot be read is unknown, nothing is raised."""
    mounts = read_mounts(proc)
    names = os.uname()
    return Host(
        release=names.release,
        machine=names.machine,
        capabilities=effective_capabilities(proc),
        euid=os.geteuid(),
        lockdown=lockdown_mode(mounts),
        security_modules=active_security_modules(mounts),
        cgroups=cgroup_mode(mounts),
        mounts={kind: next(iter(directories_of(kind, mounts)), "") for kind in PLACES},
        host_pids=_in_host_pid_namespace(proc),
        jit=_number(proc / "sys/net/core/bpf_jit_enable"),
        statistics=None if (on := _number(proc / "sys/kernel/bpf_stats_enabled")) is None else on > 0,
        memlock_bytes=_memlock(proc),
    )


def effective_capabilities(proc: Path = Path("/proc")) -> frozenset[str]:
    """Names of CapEff of this process (proc(5)); bits without a name are `cap_<number>`."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", (proc / "self" / "status").read_text(), re.MULTILINE)
    bits = int(found[1], 16) if found else 0
    return frozenset(
        CAPABILITIES[bit] if bit < len(CAPABILITIES) else f"cap_{bit}" for bit in range(64) if bits >> bit & 1
    )


def may_load(capabilities: frozenset[str]) -> bool:
    """Whether tracing programs may be loaded: CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN (capabilities(7))."""
    return "sys_admin" in capabilities or {"bpf", "perfmon"} <= capabilities


def lockdown_mode(mounts: list[Mount]) -> str:
    """The marked word of securityfs' `lockdown` (kernel_lockdown(7))."""
    text = read_kernel_file("securityfs", "lockdown", mounts)
    if text is None:
        modules = active_security_modules(mounts)
        return "absent" if modules is not None and "lockdown" not in modules else ""
    found = re.search(r"\[(\w+)\]", text)
    return found[1] if found else ""


def active_security_modules(mounts: list[Mount]) -> tuple[str, ...] | None:
    """securityfs' `lsm`. A BPF LSM program loads and attaches without `bpf` in this list, but never runs."""
    text = read_kernel_file("securityfs", "lsm", mounts)
    return None if text is None else tuple(name for name in text.strip().split(",") if name)


def cgroup_mode(mounts: Sequence[Mount]) -> str:
    """Which hierarchies are mounted (cgroups(7)); systemd's own named v1 hierarchy alone does not count."""
    has_v2 = any(mount.kind == "cgroup2" for mount in mounts)
    v1 = any(
        mount.kind == "cgroup" and not any(option.startswith("name=") for option in mount.options)
        for mount in mounts
    )
    return {(True, False): "v2", (False, True): "v1", (True, True): "hybrid"}.get((has_v2, v1), "none")


def _in_host_pid_namespace(proc: Path) -> bool | None:
    try:
        return (proc / "self/ns/pid").stat().st_ino == _HOST_PID_NAMESPACE
    except OSError:
        return None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _memlock(proc: Path) -> int | None:
    try:
        found = re.search(r"^Max locked memory +\S+ +(\S+)", (proc / "self/limits").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found and found[1].isdigit() else None
