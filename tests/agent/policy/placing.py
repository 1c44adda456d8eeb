# SPDX-License-Identifier: Apache-2.0
"""Uses of one hook, for the tests of what compiles them."""

from __future__ import annotations

from agent.policy.compile import Placed
from agent.policy.model import Argument, ArgumentFilter, Hook, Selector, Where
from agent.policy.values import HookKey, HookUse, Shown, Source, Value, ValueFlag, ValueType

KEY = HookKey("fentry", "security_file_open")
PATH = Value(Source.ARGUMENT, ValueType.FILE)
INT = Value(Source.ARGUMENT, ValueType.INTEGER, 1, 4, ValueFlag.SIGNED)
OTHER_PATH = Value(Source.ARGUMENT, ValueType.PATH, 2)
LINE = Where("p.yaml", 7, "spec")


def asks(position: int, operator: str, *values: str) -> Selector:
    return Selector(arguments=(ArgumentFilter(position, operator, values, where=LINE),), where=LINE)


def use(
    *selectors: Selector, values: tuple[Value, ...] = (PATH, INT, OTHER_PATH), name: str = "p"
) -> HookUse:
    arguments = tuple(Argument(value.index, "auto") for value in values)
    hook = Hook("kprobe", KEY.target, arguments=arguments, selectors=selectors, where=LINE)
    shown = tuple(Shown(at, "auto") for at in range(len(values)))
    return HookUse(KEY, name, hook, 0, values, shown, KEY.target)


def place(*selectors: Selector, first: int = 0, slot: int = 0, **more: object) -> Placed:
    bits = tuple(range(first, first + max(1, len(selectors))))
    return Placed(use(*selectors, **more), slot, bits, 1, 9)  # type: ignore[arg-type]
