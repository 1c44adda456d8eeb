# SPDX-License-Identifier: Apache-2.0
"""Mounted file systems, and files of kernel file systems that nobody has mounted."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import NamedTuple

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""System calls since v5.2, with the same numbers on all architectures (arch/*/syscalls tables)."""
_CMD_CREATE = 6
"""FSCONFIG_CMD_CREATE, linux/mount.h."""
PLACES = {
    "securityfs": "/sys/kernel/security",
    "tracefs": "/sys/kernel/tracing",
    "bpf": "/sys/fs/bpf",
}
"""Where these file systems are usually mounted."""


class Mount(NamedTuple):
    """A line of /proc/PID/mounts (proc(5))."""

    kind: str
    directory: str
    options: tuple[str, ...]


def read_mounts(proc: Path = Path("/proc")) -> list[Mount]:
    """All mounts of our mount namespace; empty when they cannot be read."""
    try:
        lines = (proc / "self" / "mounts").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    return [
        Mount(fields[2], fields[1], tuple(fields[3].split(",")))
        for fields in map(str.split, lines)
        if len(fields) > 3
    ]


def directories_of(kind: str, mounts: list[Mount]) -> list[str]:
    """Where a kind of file system is mounted."""
    return [mount.directory for mount in mounts if mount.kind == kind]


def read_kernel_file(kind: str, path: str, mounts: list[Mount]) -> str | None:
    """A file of securityfs or tracefs, from where it is mounted, else from a mount that nobody sees and that
    ends here (needs CAP_SYS_ADMIN). None when there is no way to read it."""
    for directory in directories_of(kind, mounts):
        with contextlib.suppress(OSError):
            return Path(directory, path).read_text()
    return _read_detached(kind, path)


def _read_detached(kind: str, path: str) -> str | None:
    call = ctypes.CDLL(None, use_errno=True).syscall
    context = call(_FSOPEN, ctypes.c_char_p(kind.encode()), 1)
    if context < 0:
        return None
    mount = -1
    try:
        if call(_FSCONFIG, context, _CMD_CREATE, None, None, 0) < 0:
            return None
        mount = call(_FSMOUNT, context, 1, 0)
        if mount < 0:
            return None
        with (
            contextlib.suppress(OSError),
            open(os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=mount)) as file,
        ):
            return file.read()
    finally:
        os.close(context)
        if mount >= 0:
            os.close(mount)
    return None
