# SPDX-License-Identifier: Apache-2.0
"""What the kernel says about programs and links: bpf_prog_info, bpf_link_info of linux/bpf.h."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import NamedTuple

from agent.kernel.libbpf import libbpf


class ProgramInfo(NamedTuple):
    """A part of struct bpf_prog_info."""

    id: int
    run_time_ns: int
    """Summed run time while statistics were on."""
    run_count: int
    recursion_misses: int
    """Runs skipped because the program was already running on that CPU; 0 before v5.12."""
    verified_instructions: int
    """0 before v5.16."""


def program_info(fd: int) -> ProgramInfo:
    """Raises KernelRefused for a file descriptor that is no program. Offsets: linux/bpf.h, append-only."""
    info = ctypes.create_string_buffer(256)
    size = ctypes.c_uint32(len(info))
    if libbpf().bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
        raise libbpf().refused("program info", ctypes.get_errno())

    def at(offset: int, width: int) -> int:
        known = offset + width <= size.value
        return int.from_bytes(info.raw[offset : offset + width], "little") if known else 0

    return ProgramInfo(at(4, 4), at(192, 8), at(200, 8), at(208, 8), at(216, 4))


def missed_by_both(skipped: int, stood_in: int, skipped_again: int) -> int:
    """How often neither of two programs ran, at most: the first was `skipped`, the second did its work
    `stood_in` times and was itself `skipped_again`. Threads, who make no record, may be among them."""
    return max(0, min(skipped - stood_in, skipped_again))


def program_id(fd: int) -> int:
    """The kernel's number of a loaded program."""
    return program_info(fd).id


def attached_program_ids() -> set[int]:
    """Numbers of all programs that hang on a link now, anybody's."""
    found: set[int] = set()
    next_id = ctypes.c_uint32(0)
    while not libbpf().bpf_link_get_next_id(next_id.value, ctypes.byref(next_id)):
        fd = libbpf().bpf_link_get_fd_by_id(next_id.value)
        if fd < 0:
            continue  # it went meanwhile
        info = ctypes.create_string_buffer(128)
        size = ctypes.c_uint32(len(info))
        if not libbpf().bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
            found.add(int.from_bytes(info.raw[8:12], "little"))  # type, id, prog_id
        os.close(fd)
    return found


def fd_facts(fd: int) -> dict[str, str]:
    """What /proc/self/fdinfo says about a map, program or link, without capabilities. Empty: it is gone."""
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def program_on(link_fd: int) -> int:
    """Number of the program that hangs on a link of ours, 0 when the link is gone. The list of all links
    would need CAP_SYS_ADMIN, and lacks kprobes where they hang on perf events (before v5.15)."""
    facts = fd_facts(link_fd)
    if "link_type" in facts:
        return int(facts["prog_id"])
    return _program_on_perf_event(link_fd) if facts else 0


def _program_on_perf_event(fd: int) -> int:
    number = ctypes.c_uint32(0)
    kind, length = ctypes.c_uint32(0), ctypes.c_uint32(0)
    offset, address = ctypes.c_uint64(0), ctypes.c_uint64(0)
    out = [ctypes.byref(value) for value in (length, number, kind, offset, address)]
    failed = libbpf().bpf_task_fd_query(os.getpid(), fd, 0, None, *out)
    return 0 if failed else number.value
