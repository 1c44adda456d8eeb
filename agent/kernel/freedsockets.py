# SPDX-License-Identifier: Apache-2.0
"""Untracks sockets when the kernel frees them (sockets.bpf.c): TrackSock knows a socket by its address, which
the kernel gives to another one then. Loaded while some hook tracks sockets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.errors import KernelRefused
from agent.kernel.links import program_id, program_info
from agent.kernel.mapfill import memory_of
from agent.kernel.objects import BpfMap, BpfObject
from agent.kernel.places import HookState

_PREFIX, _FREES = "socket_freed_", "security_sk_free"
_WAYS = (f"{_PREFIX}fentry", f"{_PREFIX}kprobe")
"""The cheaper one first."""


class FreedSockets:
    """Follows the map `sockets` of policies.bpf.c, whichever it is at the time."""

    def __init__(self, preempts: Callable[[], bool] = lambda: False) -> None:
        """`preempts`: whether the kernel skips fentry programs under load (agent/kernel/preemption.py); asked
        when the first socket is tracked."""
        self._preempts = preempts
        self._object: BpfObject | None = None
        self._way = ""
        self._followed: BpfMap | None = None

    def follow(self, sockets: BpfMap) -> None:
        """Sockets that are freed from now on leave this map, which stays the caller's. Raises KernelRefused
        where their end cannot be seen; then nothing has changed."""
        if self._followed is sockets:
            return
        fresh, way = _attached(sockets, _WAYS[::-1] if self._preempts() else _WAYS)
        self.close()
        self._object, self._way, self._followed = fresh, way, sockets

    def renew(self) -> bool:
        """Attaches once more, where it was found detached. False: the kernel refuses."""
        if self._followed is None:
            return False
        followed, self._followed = self._followed, None
        try:
            self.follow(followed)
        except KernelRefused:
            self._followed = followed
        return self._followed is followed and self._is_attached()

    def state(self) -> HookState | None:
        """As the kernel tells it now; None where nobody tracks sockets."""
        if self._object is None:
            return None
        program = self._object.program_fd(self._way)
        told = program_info(program)
        return HookState(
            self._way.removeprefix(_PREFIX),
            f"{_FREES} (freed sockets)",
            program_id=told.id,
            instructions=told.verified_instructions,
            memory_bytes=memory_of(program),
            survives_restart=False,
            is_pinned=False,
            is_attached=self._is_attached(),
            missed=told.recursion_misses,
        )

    def rest(self, sockets: BpfMap) -> None:
        """Nobody tracks any more: what is tracked is forgotten, too."""
        if self._object:
            self.close()
            for key in sockets.keys(8):
                sockets.delete(key)

    def close(self) -> None:
        """Detaches."""
        if self._object:
            self._object.close()
        self._object, self._followed = None, None

    def _is_attached(self) -> bool:
        if self._object is None:
            return False
        return self._object.attached_program(self._way) == program_id(self._object.program_fd(self._way))


def _attached(sockets: BpfMap, ways: Sequence[str]) -> tuple[BpfObject, str]:
    refusal: KernelRefused | None = None
    for way in ways:
        loading = BpfObject("sockets.bpf.o")
        try:
            loading.select({way})
            loading.reuse("sockets", sockets.fd)
            loading.load()
            loading.attach(way)
            return loading, way
        except KernelRefused as error:
            loading.close()
            refusal = error
    raise refusal or AssertionError("nothing was tried")
