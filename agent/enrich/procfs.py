# SPDX-License-Identifier: Apache-2.0
"""What /proc knows of a process that was there before us (proc(5)). Identity does not come from here: /proc
has 10 ms resolution and no self_exec_id, the task iterator has both."""

from __future__ import annotations

import os
from typing import NamedTuple


class ProcEntry(NamedTuple):
    """Parts of /proc/PID that could be read; empty where the process is gone, a kernel thread or closed."""

    exe: bytes
    """Resolved path, " (deleted)" cut off."""
    deleted: bool
    cwd: bytes
    cmdline: bytes
    comm: bytes
    environ: bytes


def read_process(pid: int, *, environment: bool = False, root: str = "/proc") -> ProcEntry:
    """Raises nothing: a process may end between any two reads."""
    base = f"{root}/{pid}"
    exe = _link(f"{base}/exe")
    deleted = exe.endswith(b" (deleted)")
    return ProcEntry(
        exe.removesuffix(b" (deleted)"),
        deleted,
        _link(f"{base}/cwd").removesuffix(b" (deleted)"),
        _content(f"{base}/cmdline"),
        _content(f"{base}/comm").rstrip(b"\n"),
        _content(f"{base}/environ") if environment else b"",
    )


def is_alive(pid: int, root: str = "/proc") -> bool:
    """Whether a process of this pid exists (its identity is not looked at)."""
    return os.access(f"{root}/{pid}", os.F_OK)


def host_namespaces(names: tuple[str, ...], root: str = "/proc") -> list[int]:
    """Inums of pid 1's namespaces in the order of `names` (Tetragon's); 0 where the kernel has none."""
    return [_inum(f"{root}/1/ns/{name}") for name in names]


def _inum(path: str) -> int:
    text = _link(path)  # b"mnt:[4026531841]"
    return int(text[text.find(b"[") + 1 : -1]) if b"[" in text else 0


def _link(path: str) -> bytes:
    try:
        return os.readlink(path.encode())  # noqa: PTH115 (Path has no bytes; targets need not be UTF-8)
    except OSError:
        return b""


def _content(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            parts = []
            while part := file.read(1 << 16):
                parts.append(part)
            return b"".join(parts)
    except OSError:
        return b""
