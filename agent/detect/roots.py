# SPDX-License-Identifier: Apache-2.0
"""Which process a story is about: the highest one above a detection that is not there to start others.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Process = Mapping[str, Any]

STARTERS = frozenset(
    (
        # service managers, and the first process of many containers
        "systemd", "systemd-executor", "init", "runsvdir", "runsv", "s6-svscan", "s6-supervise", "openrc-run",
        "supervise-daemon", "supervisord", "monit", "tini", "dumb-init", "docker-init", "catatonit",
        # who lets people in: the shell below is theirs
        "sshd", "sshd-session", "sshd-auth", "dropbear", "login", "agetty", "getty", "mingetty", "in.telnetd",
        "gdm", "gdm3", "gdm-session-worker", "lightdm", "sddm", "xrdp", "xrdp-sesman",
        # who starts jobs
        "cron", "crond", "anacron", "atd", "fcron",
        # container runtimes
        "containerd", "dockerd", "runc", "crun", "youki", "conmon", "podman", "crio", "kubelet",
        "lxc-start", "lxd", "systemd-nspawn",
    )
)  # fmt: skip
"""Last parts of the paths of programs whose descendants have nothing else in common."""
_SHIM = "containerd-shim"


def root_of(process: Process, ancestors: Sequence[Process]) -> Process:
    """The process at the top of a story's subtree; `ancestors` stand with the parent first. A process of
    which nothing but its number is known tells nothing, and is passed over."""
    for above in reversed(ancestors):
        if not _starts_others(above):
            return above
    return process


def _starts_others(process: Process) -> bool:
    binary = process.get("binary")
    if not isinstance(binary, str) or not binary or not process.get("exec_id"):
        return True
    name = binary.rpartition("/")[2]
    return process.get("pid") in (0, 1, 2) or name in STARTERS or name.startswith(_SHIM)
