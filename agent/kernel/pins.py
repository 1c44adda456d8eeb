# SPDX-License-Identifier: Apache-2.0
"""The pinned process map: `DIR/processes.v<layout>` on a bpffs. A map of another layout is never reused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import KernelUnsupported
from agent.kernel.libbpf import check, libbpf

if TYPE_CHECKING:
    from agent.kernel.objects import BpfObject

LAYOUT_VERSION = 1
"""PROCESS_LAYOUT_VERSION of kprobes/include/wire.h."""
_BPF_FS_MAGIC = 0xCAFE4A11  # linux/magic.h


def pin_path(directory: Path) -> Path:
    """Where the map of this layout is pinned."""
    return directory / f"processes.v{LAYOUT_VERSION}"


def open_pinned_processes(directory: Path) -> tuple[int, str]:
    """File descriptor of a pinned map of our layout (or -1), and a notice about what was found.

    Maps of other layouts are unpinned: their content means something else to this version. Raises
    KernelUnsupported when the directory is not on a bpffs.
    """
    _require_bpffs(directory)
    notice = ""
    for other in sorted(directory.glob("processes.v*")):
        if other != pin_path(directory):
            other.unlink()
            notice = f"unpinned {other}: it has the layout of another version and starts empty here"
    if not pin_path(directory).exists():
        return -1, notice
    fd = check(libbpf().bpf_obj_get(str(pin_path(directory)).encode()), f"open {pin_path(directory)}")
    return fd, notice


def pin_processes(loaded: BpfObject, directory: Path) -> None:
    """Pins the loaded map unless it already is."""
    path = pin_path(directory)
    if not path.exists():
        handle = loaded._map("processes")
        check(libbpf().bpf_map__pin(handle, str(path).encode()), f"pin {path}")


def _require_bpffs(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        on_bpffs = _filesystem_type(directory) == "bpf"
    except OSError as error:
        raise KernelUnsupported(f"pin directory {directory}: {error.strerror}", _BPFFS_HINT) from error
    if not on_bpffs:
        raise KernelUnsupported(f"pin directory {directory} is not on a bpffs", _BPFFS_HINT)


_BPFFS_HINT = (
    "mount one with `mount -t bpf bpf /sys/fs/bpf` and use a directory below it, "
    "or set kernel.pin_dir to null"
)


def _filesystem_type(path: Path) -> str:
    """Type of the mount that holds a path, from /proc/self/mountinfo (proc(5))."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == wanted:
            return fields[fields.index("-") + 1]
    return ""
