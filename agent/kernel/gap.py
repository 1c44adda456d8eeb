# SPDX-License-Identifier: Apache-2.0
"""What pinned programs sent while no agent read: records that still wait in the ring of the agent before, and
what found no room there.

The ring lives as long as a program refers to it, and keeps the reader's position. To be opened before posts
and hooks are taken over, and counted afterwards, when nothing writes into it any more."""

from __future__ import annotations

import ctypes
import os
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.errors import KernelRefused
from agent.kernel import hookpins, posts
from agent.kernel.libbpf import libbpf
from agent.kernel.links import fd_facts
from agent.kernel.objects import BpfMap
from agent.kernel.ring import Ring
from agent.kernel.sensor import CAUSES, COUNTER_BYTES, HOOKS

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
        self._counters = posts.open_map(pin_dir, "counters", {"value_size": COUNTER_BYTES})
        self._told = posts.open_map(pin_dir, "told", {"value_size": posts.TOLD_BYTES})
        self._keep(posts.open_map(pin_dir, "events", {"map_type": _RINGBUF}))
        hooks = [place for _kind, _target, place in hookpins.pinned(pin_dir)]
        for place in (*hooks, *(place for _name, place in posts.places(pin_dir))):
            for program in _programs_of(place):
                for number in _maps_of(program):
                    self._keep(libbpf().bpf_map_get_fd_by_id(number))
                os.close(program)

    def count(self, kinds: Mapping[int, str]) -> Counter[str]:
        """Records that nobody read, by `kinds` of records (their hook), and such that found no room, by hook.
        They are gone then. To be called once."""
        found = Counter(self._refused())
        for fd in self._rings.values():
            found.update(kinds[kind] for kind in _unread(fd) if kind in kinds)
            os.close(fd)
        self._rings.clear()
        return found

    def _refused(self) -> dict[str, int]:
        """What was not sent and does not stand in the log."""
        if self._counters < 0 or self._told < 0:
            return {}
        cpus = libbpf().libbpf_num_possible_cpus()
        counted = BpfMap(self._counters, COUNTER_BYTES).lookup(bytes(4), COUNTER_BYTES * cpus) or b""
        told = BpfMap(self._told, posts.TOLD_BYTES).lookup(bytes(4)) or bytes(posts.TOLD_BYTES)
        for fd in (self._counters, self._told):
            os.close(fd)
        rows = struct.iter_unpack(f"={COUNTER_BYTES // 8}Q", counted)
        totals = [sum(column) for column in zip(*rows, strict=True)]
        known = struct.unpack(f"={posts.TOLD_BYTES // 8}Q", told)
        return _by_hook([total - before for total, before in zip(totals, known, strict=False)])

    def _keep(self, fd: int) -> None:
        """A ring that is not there yet; anything else is closed."""
        facts = fd_facts(fd) if fd >= 0 else {}
        number = int(facts.get("map_id", "0"))
        if facts.get("map_type") == str(_RINGBUF) and number not in self._rings:
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


def _by_hook(lost: list[int]) -> dict[str, int]:
    """By cause and hook, as in struct counters; a full process map is no record's loss."""
    found: Counter[str] = Counter()
    for number, count in enumerate(lost):
        cause, hook = divmod(number, len(HOOKS))
        if count > 0 and CAUSES[cause] != "map_full":
            found[HOOKS[hook]] += count
    return dict(found)


def _unread(fd: int) -> list[int]:
    """Kinds of the records that wait."""
    try:
        ring = Ring(fd, int(fd_facts(fd)["max_entries"]))
    except KernelRefused:
        return []
    found = []
    try:
        while records := ring.drain():
            found += [record[0] for record in records]
    finally:
        ring.close()
    return found
