# SPDX-License-Identifier: Apache-2.0
"""Budgets reach the map of policies, and what the kernel did there is seen."""

from __future__ import annotations

from agent.policy.budgets import ENFORCE, MONITOR, STATE, BudgetedSlots

FIRST = (0).to_bytes(4, "little")


class Slots(dict[bytes, bytes]):
    """A map without a kernel: a dictionary of the same two calls."""

    def lookup(self, key: bytes) -> bytes | None:
        return self.get(key)

    def update(self, key: bytes, value: bytes) -> None:  # type: ignore[override]
        self[key] = value


def test_a_state_is_written_with_the_budget_of_the_settings() -> None:
    slots = Slots()
    BudgetedSlots(slots, 7).update(FIRST, STATE.pack(ENFORCE, 100, 3, 4))
    assert STATE.unpack(slots[FIRST]) == (ENFORCE, 7, 3, 4)


def test_a_policy_that_fell_back_to_monitor_mode_is_told_once() -> None:
    slots = Slots()
    budgeted = BudgetedSlots(slots, 7)
    budgeted.update(FIRST, STATE.pack(ENFORCE, 0, 0, 0))
    assert budgeted.fallen() == []
    slots[FIRST] = STATE.pack(MONITOR, 7, 3, 8)  # as the kernel leaves it
    assert budgeted.fallen() == [0]
    assert budgeted.fallen() == []


def test_a_policy_that_was_put_into_monitor_mode_by_us_did_not_fall() -> None:
    budgeted = BudgetedSlots(Slots(), 7)
    budgeted.update(FIRST, STATE.pack(ENFORCE, 0, 0, 0))
    budgeted.update(FIRST, STATE.pack(MONITOR, 0, 0, 0))
    assert budgeted.fallen() == []


def test_another_budget_reaches_policies_that_enforce() -> None:
    slots = Slots()
    budgeted = BudgetedSlots(slots, 7)
    budgeted.update(FIRST, STATE.pack(ENFORCE, 0, 5, 6))
    budgeted.change(9)
    assert STATE.unpack(slots[FIRST]) == (ENFORCE, 9, 5, 6)
