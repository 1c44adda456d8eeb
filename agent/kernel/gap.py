# SPDX-License-Identifier: Apache-2.0
"""What pinned hooks sent while no agent read: records that still wait in the ring of the agent before.

The ring lives as long as a program refers to it, and keeps the reader's position. To be opened before hooks
are taken over, and counted afterwards, when nothing writes into it any more."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from agent.errors import KernelRefused
from agent.kernel import hookpins
from agent.kernel.libbpf import libbpf
from agent.kernel.links import fd_facts
from agent.kernel.ring import Ring

_RINGBUF = 27
"""BPF_MAP_TYPE_RINGBUF of linux/bpf.h."""
_MAPS_MOST = 64
"""Maps of one program, BPF_MAX_USED_MAPS of include/linux/bpf.h."""
_NUMBER_OF_MAPS, _MAP_IDS = 52, 56
"""Offsets of nr_map_ids and map_ids in struct bpf_prog_info of linux/bpf.h, which only grows at its end."""


class Gap:
    """Rings of agents before this one."""

    def __init__(self, pin_dir: Path) -> None:
        self._rings: dict[int, int] = {}
        """Descriptor by the map's number."""
        for _kind, _target, place in hookpins.pinned(pin_dir):
            for program in _programs_of(place):
                for number in _maps_of(program):
                    self._keep(number)
                os.close(program)

    def count(self, kind: int) -> int:
        """Records of one kind that nobody read; they are gone then. To be called once."""
        total = 0
        for fd in self._rings.values():
            total += _unread(fd, kind)
            os.close(fd)
        self._rings.clear()
        return total

    def _keep(self, number: int) -> None:
        fd = libbpf().bpf_map_get_fd_by_id(number)
        if fd >= 0 and fd_facts(fd).get("map_type") == str(_RINGBUF) and number not in self._rings:
            self._rings[number] = fd
        elif fd >= 0:
            os.close(fd)


def _programs_of(place: Path) -> Iterator[int]:
    """Descriptors of the programs in a pinned dispatcher's array, owned by the caller."""
    array = libbpf().bpf_obj_get(str(place / "programs").encode())
    if array < 0:
        return
    try:
        for slot in range(int(fd_facts(array).get("max_entries", "0"))):
            value = ctypes.create_string_buffer(4)
            if not libbpf().bpf_map_lookup_elem(array, struct.pack("=I", slot), value):
                fd = libbpf().bpf_prog_get_fd_by_id(int.from_bytes(value.raw, "little"))
                if fd >= 0:
                    yield fd
    finally:
        os.close(array)


def _maps_of(program: int) -> list[int]:
    """Numbers of the maps that a program refers to."""
    numbers = (ctypes.c_uint32 * _MAPS_MOST)()
    info = ctypes.create_string_buffer(256)
    struct.pack_into("=I", info, _NUMBER_OF_MAPS, _MAPS_MOST)
    struct.pack_into("=Q", info, _MAP_IDS, ctypes.addressof(numbers))
    if libbpf().bpf_obj_get_info_by_fd(program, info, ctypes.byref(ctypes.c_uint32(len(info)))):
        return []
    (count,) = struct.unpack_from("=I", info, _NUMBER_OF_MAPS)
    return list(numbers[: min(count, _MAPS_MOST)])


def _unread(fd: int, kind: int) -> int:
    try:
        ring = Ring(fd, int(fd_facts(fd)["max_entries"]))
    except KernelRefused:
        return 0
    count = 0
    try:
        while records := ring.drain():
            count += sum(record[0] == kind for record in records)
    finally:
        ring.close()
    return count
