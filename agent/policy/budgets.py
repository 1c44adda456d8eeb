# SPDX-License-Identifier: Apache-2.0
"""Kill budgets: who enforces more often in a minute than is allowed is put into monitor mode by the kernel
(kprobes/include/act.h, within_budget); here is seen that it happened."""

from __future__ import annotations

import struct
from typing import Protocol

STATE = struct.Struct("=IIQQ")
"""struct policy_state of kprobes/include/policy.h: mode, budget, minute, spent."""
MONITOR, ENFORCE = 1, 2
"""Of enum policy_mode."""


class SlotMap(Protocol):
    """The map `policies`."""

    def lookup(self, key: bytes) -> bytes | None:
        """struct policy_state."""

    def update(self, key: bytes, value: bytes) -> None:
        """Raises KernelRefused."""


class BudgetedSlots:
    """The same map, with the budget of the settings in every state that is written."""

    def __init__(self, slots: SlotMap, budget: int) -> None:
        self.budget = budget
        """Signals per policy and minute, 0: no limit. A new value reaches policies as they are written."""
        self._slots = slots
        self._enforcing: set[bytes] = set()

    def lookup(self, key: bytes) -> bytes | None:
        """As SlotMap."""
        return self._slots.lookup(key)

    def update(self, key: bytes, value: bytes) -> None:
        """As SlotMap."""
        mode, _, minute, spent = STATE.unpack(value)
        self._slots.update(key, STATE.pack(mode, self.budget, minute, spent))
        (self._enforcing.add if mode == ENFORCE else self._enforcing.discard)(key)

    def change(self, budget: int) -> None:
        """Another budget, for all policies that enforce."""
        self.budget = budget
        for key in list(self._enforcing):
            self.update(key, self._slots.lookup(key) or bytes(STATE.size))

    def fallen(self) -> list[int]:
        """Slots that the kernel has put into monitor mode since they were written, each told once."""
        found = []
        for key in sorted(self._enforcing):
            state = self._slots.lookup(key)
            if state and STATE.unpack(state)[0] == MONITOR:
                self._enforcing.discard(key)
                found.append(int.from_bytes(key, "little"))
        return found
