# SPDX-License-Identifier: Apache-2.0
"""Whether hooks need a second dispatcher (agent/kernel/dispatch.py), and what the two share."""

from __future__ import annotations

from agent.kernel import dispatch
from agent.kernel.btf import Btf
from agent.kernel.mapfill import ARRAY, make_map
from agent.kernel.objects import BpfMap, BpfObject
from agent.kernel.preemption import preempts_programs
from agent.kernel.template import MapForm

DOUBLED = ("fentry", "fexit", "tp_btf", "raw_tp", "sys_enter", "sys_exit")
"""Kinds that have a second dispatcher. The trampoline calls no further fmod_ret once a call is denied, so
nothing would take back what the first one notes."""
_WORD, _WORDS = 8, 8
"""struct marks of kprobes/marks.bpf.c."""


class StandIns:
    """For all hooks of an agent."""

    def __init__(self) -> None:
        self._needed: bool | None = None
        self._object: BpfObject | None = None
        self._given = 0

    def are_needed(self, kind: str, kernel: Btf) -> bool:
        """Whether hooks of this kind have two dispatchers here."""
        if self._needed is None:
            self._needed = preempts_programs(kernel) and kernel.has_function("bpf_task_storage_get")
        return self._needed and kind in DOUBLED

    def mark(self, kind: str, kernel: Btf) -> tuple[dispatch.Mark, BpfMap] | None:
        """What the two dispatchers of one more hook share, and their count, which is the caller's; None
        where one is enough. Raises KernelRefused."""
        if not self.are_needed(kind, kernel):
            return None
        if self._object is None:
            self._object = BpfObject("marks.bpf.o")
            self._object.load()
        count = make_map("th_stood_in", MapForm(ARRAY, 4, 8, 1, 0))
        self._given += 1
        return dispatch.Mark(self._object.map("marks").fd, self._given % _WORDS * _WORD, count.fd), count

    def close(self) -> None:
        """Programs that run keep what they use."""
        if self._object:
            self._object.close()
            self._object = None
