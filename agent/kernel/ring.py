# SPDX-License-Identifier: Apache-2.0
"""The ring buffer's reader: libbpf's own consumer, drained in bounded batches.

libbpf's `consume` goes on until the ring is empty, which under load is never; a callback that returns an
error ends it after that record, so a batch has an end (libbpf 1.1 src/ringbuf.c, ringbuf_process_ring: the
position is advanced past the record before the error is returned).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys

from agent.errors import KernelRefused
from agent.kernel.libbpf import SampleCallback, libbpf

BATCH_RECORDS = 512
"""Most records of one `drain`."""
_STOP = -105  # ENOBUFS: any negative value ends the batch
_MEMORY = (ctypes.c_char * sys.maxsize).from_address(0)
"""All of our memory: a slice of it is a copy, at a quarter of what `ctypes.string_at` takes."""


class Ring:
    """Reader of one BPF_MAP_TYPE_RINGBUF."""

    def __init__(self, map_fd: int, size: int, batch: int = BATCH_RECORDS) -> None:
        self.size = size
        self._batch = batch
        self._taken: list[bytes] = []
        self._callback = SampleCallback(self._take)
        self._handle = libbpf().ring_buffer__new(map_fd, self._callback, None, None)
        if not self._handle:
            raise libbpf().refused("ring buffer", ctypes.get_errno())
        self._positions = _Positions(map_fd)

    def _take(self, _context: int, data: int, size: int) -> int:
        taken = self._taken
        taken.append(_MEMORY[data : data + size])  # type: ignore[arg-type]  # of c_char it is bytes
        return _STOP if len(taken) >= self._batch else 0

    def fileno(self) -> int:
        """For epoll: readable when the kernel has woken us."""
        return int(libbpf().ring_buffer__epoll_fd(self._handle))

    def drain(self) -> list[bytes]:
        """At most one batch of records, oldest first."""
        self._taken = []
        if not self._handle:
            return self._taken
        result = libbpf().ring_buffer__consume(self._handle)
        if result < 0 and result != _STOP:
            raise KernelRefused(f"reading the ring buffer: {os.strerror(-result)}", -result)
        return self._taken

    def backlog(self) -> int:
        """Bytes that wait to be read; none after `close`."""
        if not self._handle:
            return 0
        read = self.read()  # first: it never passes what is written
        return self.written() - read

    def written(self) -> int:
        """How far the kernel has written, in bytes since the ring was made."""
        return self._positions.written()

    def read(self) -> int:
        """How far it was read, in bytes since the ring was made."""
        return self._positions.read()

    def fill(self) -> float:
        """The backlog as a fraction of the ring."""
        return self.backlog() / self.size

    def close(self) -> None:
        """Frees the reader; the map stays."""
        if self._handle:
            self._positions.close()
            libbpf().ring_buffer__free(self._handle)
            self._handle = None


class _Positions:
    """The ring's consumer and producer positions: first word of the first two pages
    (Linux Documentation/bpf/ringbuf.rst)."""

    def __init__(self, map_fd: int) -> None:
        page = mmap.PAGESIZE
        self._consumer = mmap.mmap(map_fd, page, mmap.MAP_SHARED, mmap.PROT_READ, offset=0)
        self._producer = mmap.mmap(map_fd, page, mmap.MAP_SHARED, mmap.PROT_READ, offset=page)

    def read(self) -> int:
        return int.from_bytes(self._consumer[:8], "little")

    def written(self) -> int:
        return int.from_bytes(self._producer[:8], "little")

    def close(self) -> None:
        self._consumer.close()
        self._producer.close()
