# SPDX-License-Identifier: Apache-2.0
"""In the guest: what is left in the kernel, as JSON. Runtimes' own programs, which guard devices of cgroups,
are left out."""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path

from agent.kernel.libbpf import libbpf
from agent.kernel.links import attached_program_ids, fd_facts

CGROUP_DEVICE = "15"
"""BPF_PROG_TYPE_CGROUP_DEVICE (include/uapi/linux/bpf.h)."""


def programs() -> list[int]:
    """Numbers of all programs that are loaded."""
    found, number = [], ctypes.c_uint32(0)
    while not libbpf().bpf_prog_get_next_id(number.value, ctypes.byref(number)):
        fd = libbpf().bpf_prog_get_fd_by_id(number.value)
        if fd < 0:
            continue  # it went meanwhile
        if fd_facts(fd).get("prog_type") != CGROUP_DEVICE:
            found.append(number.value)
        os.close(fd)
    return found


if __name__ == "__main__":
    pins = sorted(path.name for path in Path("/sys/fs/bpf").rglob("*") if not path.is_dir())
    device = set(programs())
    print(
        json.dumps({"programs": sorted(device), "links": len(attached_program_ids() & device), "pins": pins})
    )
