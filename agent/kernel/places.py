# SPDX-License-Identifier: Apache-2.0
"""Places in the kernel where hooks hang: dispatchers with their array, and what is told of a hook there."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from agent.errors import KernelRefused
from agent.kernel import dispatch
from agent.kernel.attaching import Attachment, attach
from agent.kernel.hookpins import Pinned
from agent.kernel.libbpf import libbpf
from agent.kernel.links import missed_by_both, program_id, program_info, program_on
from agent.kernel.objects import BpfMap

if TYPE_CHECKING:
    from agent.policy.values import HookKey

BY_NUMBER = ("sys_enter", "sys_exit")
"""One place serves all system calls."""
_SETTLED_S = 1.0


class HookState(NamedTuple):
    """One hook as it is now."""

    attach: str
    target: str
    program_id: int
    instructions: int
    """That the verifier looked at."""
    memory_bytes: int
    """Kernel memory of the program and its own maps."""
    survives_restart: bool
    is_pinned: bool
    is_attached: bool
    """Asked of the kernel now."""
    missed: int
    """Calls that were not judged because the dispatcher was running on that CPU already."""
    shared: Mapping[str, int] = MappingProxyType({})
    """What it uses together with other hooks (agent/kernel/sharedmaps.py), and its bytes of kernel memory."""


@dataclass(slots=True)
class Dispatcher:
    """A program that jumps into a place's array."""

    program: int
    """Descriptor, negative where it is not to be had."""
    number: int
    attachment: Attachment | None = None

    @classmethod
    def loaded(cls, program: int) -> Dispatcher:
        """Not attached yet."""
        return cls(program, program_id(program))

    @classmethod
    def on(cls, link: int) -> Dispatcher:
        """Of an agent before, by its pinned link."""
        number = program_on(link)
        return cls(libbpf().bpf_prog_get_fd_by_id(number), number, Attachment(link))

    def is_attached(self) -> bool:
        """Asked of the kernel now."""
        return self.attachment is not None and program_on(self.attachment.link) == self.number

    def skipped(self) -> int:
        """Runs that the kernel left out, since it is loaded."""
        return program_info(self.program).recursion_misses if self.program >= 0 else 0

    def detach(self) -> None:
        """Nothing to do when it is not attached; one that is pinned runs on."""
        if self.attachment:
            self.attachment.close()
            self.attachment = None

    def close(self) -> None:
        """Detaches and gives the program back."""
        self.detach()
        if self.program >= 0:
            os.close(self.program)


@dataclass(slots=True)
class Place:
    """Attached dispatchers with their array: one, or another one that stands in for it."""

    array: int
    slots: int
    dispatchers: list[Dispatcher] = field(default_factory=list)
    stood_in: BpfMap | None = None
    """How often the second one judged (dispatch.Mark)."""
    pinned: Path | None = None
    adopted: bool = False
    _settled: int = 0
    """Skipped runs of the first one, some time ago: who was skipped since may be on the way to the second."""
    _asked: tuple[float, int] = (0.0, 0)
    """When it was asked last (CLOCK_MONOTONIC), and what it told."""

    @classmethod
    def taken_over(cls, found: Pinned, slots: int, path: Path) -> Place:
        """Of an agent before."""
        links = [link for link in (found.link, found.second) if link >= 0]
        stood_in = BpfMap(found.stood_in, 8) if found.stood_in >= 0 else None
        return cls(found.programs, slots, [*map(Dispatcher.on, links)], stood_in, path, adopted=True)

    def was_attached(self) -> bool:
        """Whether it has been attached; somebody may have detached it since."""
        return any(one.attachment for one in self.dispatchers)

    def is_attached(self) -> bool:
        """Whether all of it hangs in the kernel now."""
        return bool(self.dispatchers) and all(one.is_attached() for one in self.dispatchers)

    def attach(self, kind: str, target: str) -> None:
        """By itself where there is no room for two. Raises KernelRefused, KernelUnsupported."""
        # tracepoints call what came first first (Linux kernel/tracepoint.c, func_add), trampolines last
        # (kernel/bpf/trampoline.c, hlist_add_head)
        is_tracepoint = kind in ("raw_tp", "tp_btf")
        try:
            for one in self.dispatchers if is_tracepoint else reversed(self.dispatchers):
                one.attachment = attach(kind, target, one.program)
        except KernelRefused:
            if len(self.dispatchers) == 1:
                raise
            for one in self.dispatchers:
                one.detach()
            self.dispatchers.pop().close()
            self.attach(kind, target)

    def can_pin(self) -> bool:
        """Whether it may outlive the agent."""
        held = [one.attachment for one in self.dispatchers]
        return bool(held) and all(one is not None and one.can_pin for one in held)

    def to_pin(self) -> dict[str, int]:
        """Descriptors by the names of hookpins."""
        links = [one.attachment.link for one in self.dispatchers if one.attachment]
        found = {"programs": self.array} | dict(zip(("link", "second"), links, strict=False))
        return found | ({"stood_in": self.stood_in.fd} if self.stood_in and len(links) > 1 else {})

    def missed(self) -> int:
        """Calls that were not judged, at most."""
        skipped = [one.skipped() for one in self.dispatchers]
        if len(skipped) < 2 or self.stood_in is None:
            return sum(skipped[:1])
        if time.monotonic() - self._asked[0] > _SETTLED_S:
            self._settled = self._asked[1] if self._asked[0] else skipped[0]
            self._asked = time.monotonic(), skipped[0]
        stood_in = int.from_bytes(self.stood_in.lookup(_u32(0)) or b"", "little")
        return missed_by_both(self._settled, stood_in, skipped[1])

    def put(self, slot: int, program: int) -> None:
        """The moment of a change."""
        if libbpf().bpf_map_update_elem(self.array, _u32(slot), _u32(program), 0):
            raise libbpf().refused("the dispatcher cannot jump to the program", ctypes.get_errno(), log=" ")

    def clear(self, slot: int) -> None:
        """Nothing is judged there any more."""
        libbpf().bpf_map_delete_elem(self.array, _u32(slot))

    def close(self) -> None:
        """Detaches, unless it is pinned."""
        for one in self.dispatchers:
            one.close()
        for fd in (self.array, self.stood_in.fd if self.stood_in else -1):
            if fd >= 0:
                os.close(fd)


def target_of(key: HookKey) -> str:
    """The name by which the dispatcher finds its hook."""
    return key.attach if key.attach in BY_NUMBER else key.target


def place_key(key: HookKey) -> tuple[str, str]:
    """Hooks with the same one hang on one dispatcher."""
    return (key.attach, "") if key.attach in BY_NUMBER else (key.attach, key.target)


def slot_of(key: HookKey) -> int:
    """The hook's slot in the dispatcher's array."""
    if key.attach not in BY_NUMBER:
        return 0
    abi, _, number = key.target.rpartition("/")
    return int(number) + (dispatch.SYSTEM_CALLS if abi == "32" else 0)


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)
