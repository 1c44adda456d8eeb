# SPDX-License-Identifier: Apache-2.0
"""Untracks sockets when the kernel frees them (sockets.bpf.c): TrackSock knows a socket by its address, which
the kernel gives to another one then. Loaded while some hook tracks sockets."""

from __future__ import annotations

from agent.errors import KernelRefused
from agent.kernel.objects import BpfMap, BpfObject

_WAYS = ("socket_freed_fentry", "socket_freed_kprobe")
"""The cheaper one first."""


class FreedSockets:
    """Follows the map `sockets` of policies.bpf.c, whichever it is at the time."""

    def __init__(self) -> None:
        self._object: BpfObject | None = None
        self._followed: BpfMap | None = None

    def follow(self, sockets: BpfMap) -> None:
        """Sockets that are freed from now on leave this map, which stays the caller's. Raises KernelRefused
        where their end cannot be seen; then nothing has changed."""
        if self._followed is sockets:
            return
        fresh = _attached(sockets)
        self.close()
        self._object, self._followed = fresh, sockets

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


def _attached(sockets: BpfMap) -> BpfObject:
    refusal: KernelRefused | None = None
    for way in _WAYS:
        loading = BpfObject("sockets.bpf.o")
        try:
            loading.select({way})
            loading.reuse("sockets", sockets.fd)
            loading.load()
            loading.attach(way)
            return loading
        except KernelRefused as error:
            loading.close()
            refusal = error
    raise refusal or AssertionError("nothing was tried")
