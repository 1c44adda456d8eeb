# SPDX-License-Identifier: Apache-2.0
"""Maps that all hooks share: those of the base sensor, and those of policies.bpf.o. What no policy uses yet
has one entry; a larger map takes its place for programs that are loaded afterwards."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping

from agent.errors import KernelRefused
from agent.kernel.mapfill import make_map, memory_of, sized
from agent.kernel.objects import BpfMap, BpfObject
from agent.kernel.template import MapForm

FROM_SENSOR = ("events", "processes", "counters", "control", ".rodata.config")
"""What programs share with the base sensor."""
FULL = {
    "calls": 8192,
    "kept_texts": 512,
    "kept_scratch": 4,
    "rate_limits": 32768,
    "sockets": 32768,
    "enforcements": 4096,
    "stacks": 2048,
    "exec_states": 32768,
}
"""Entries once a policy needs them; `calls` and `kept_texts` (8 KiB each) are running at one time, `sockets`
and `rate_limits` forget the oldest; `kept_scratch` is by slot of scratch memory."""
READ_BY_ALL = ("sockets",)
"""Programs of policies that ask for nothing look into these, so a new one has to reach all programs."""
_FLAGS = {
    "calls": 1 << 9 | 1 << 10,
    "kept_texts": 1 << 14,
    "kept_scratch": 1 << 14,
    "rate_limits": 1 << 6,
    "sockets": 1 << 12,
    "enforcements": 1 << 13,
    "stacks": 1 << 4 | 1 << 5,
}
"""enum hook_flags of kprobes/include/policy.h: JOINS, KEEPS, RATE_LIMITS, TRACKS_SOCKETS, ENFORCES,
KERNEL_STACK, USER_STACK, KEEPS_TEXTS."""
_ZERO = struct.pack("=I", 0)


class SharedMaps:
    """By name, as descriptors for programs and as maps for us."""

    def __init__(
        self,
        sensor: Mapping[str, int],
        file: str = "policies.bpf.o",
        preallocate: Callable[[], bool] = lambda: False,
    ) -> None:
        """`sensor`: descriptors of FROM_SENSOR, owned by the sensor. `preallocate`: whether this kernel
        cannot allocate entries everywhere; asked when a map grows. Raises KernelRefused."""
        self._preallocate = preallocate
        self._fds = dict(sensor)
        self._maps: dict[str, BpfMap] = {}
        self._forms: dict[str, MapForm] = {}
        self._epoch = self._cgroup_rate = 0
        self._outgrown: list[BpfMap] = []
        """Replaced maps, which the loop may be reading right now."""
        opened = BpfObject(file)
        try:
            for name in opened.maps():
                if name not in self._fds and not name.startswith("."):
                    self._forms[name] = MapForm(*opened.map_shape(name).values())
                    self._make(name, 1 if name in FULL else self._forms[name].entries)
        except KernelRefused:
            self.close()
            raise
        finally:
            opened.close()

    def descriptors(self) -> Mapping[str, int]:
        """What programs are bound to."""
        return self._fds

    def map(self, name: str) -> BpfMap:
        """One map of policies.bpf.o, as it is now."""
        return self._maps[name]

    def flip(self, epoch: int) -> None:
        """Switches all selectors at once (struct epoch of kprobes/include/hooks.h)."""
        self._epoch = epoch
        self._write_epoch()

    def limit_cgroups(self, rate: int) -> None:
        """Most events of one cgroup in a second; 0: no limit."""
        self._cgroup_rate = rate
        self._write_epoch()

    def _write_epoch(self) -> None:
        content = struct.pack("=4Q", self._epoch, os.getpid(), self._cgroup_rate, 0)
        self._maps["epoch"].update(_ZERO, content)

    def grow(self, flags: int, sizes: Mapping[str, int]) -> set[str]:
        """Makes room for a program with these flags (enum hook_flags); returns what was replaced by a
        larger map."""
        wanted = {name: FULL[name] for name, bits in _FLAGS.items() if flags & bits}
        wanted |= {name: max(entries, wanted.get(name, 0)) for name, entries in sizes.items() if name in FULL}
        grown = {name for name, entries in wanted.items() if self._forms[name].entries < entries}
        for name in grown:
            self._make(name, max(wanted[name], FULL[name]))
        return grown

    def used(self, flags: int) -> dict[str, int]:
        """Bytes of kernel memory of the maps that a program with these flags (enum hook_flags) uses."""
        return {name: memory_of(self._maps[name].fd) for name, bits in _FLAGS.items() if flags & bits}

    def memory(self) -> int:
        """Bytes of kernel memory of the maps of policies.bpf.o."""
        return sum(memory_of(one.fd) for one in self._maps.values())

    def close(self) -> None:
        """Gives the maps back; programs that run keep theirs."""
        self.rest()
        for one in self._maps.values():
            os.close(one.fd)
        self._maps.clear()

    def rest(self) -> None:
        """Between changes: gives back what was replaced."""
        while self._outgrown:
            os.close(self._outgrown.pop().fd)

    def _make(self, name: str, entries: int) -> None:
        form = self._forms[name]._replace(entries=entries)
        # A single entry is always there from the start: the lone kprobe of a policy is bound to it as well.
        asked = sized(form, 0, entries == 1 or self._preallocate()) if name in FULL else form
        made = make_map(name, asked)
        before = self._maps.get(name)
        self._maps[name], self._forms[name], self._fds[name] = made, form, made.fd
        if before:
            self._outgrown.append(before)
