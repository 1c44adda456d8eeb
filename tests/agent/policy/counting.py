# SPDX-License-Identifier: Apache-2.0
"""Policies that count calls in the kernel: what tests of their life cycle share."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent.errors import KernelRefused
from agent.kernel.hooks import HookSet
from agent.kernel.sharedmaps import SharedMaps
from agent.policy.book import PolicyBook
from agent.policy.model import Hook, Options, Policy, Problem, Selector, Where
from agent.policy.switch import Part, Switch
from agent.policy.values import HookKey, HookUse, Plan
from tests.agent.kernel.hooking import SELECTOR, counting_object, shape

ENTER = HookKey("sys_enter", "145")
EXIT = HookKey("sys_exit", "145")


@dataclass(frozen=True)
class Compiled:
    """As agent.policy.compile gives it."""

    shape: bytes
    maps: dict[str, dict[bytes, bytes]]
    value_of: list[tuple[int, ...]]
    sizes: dict[str, int] = field(default_factory=dict)


class CountingCompiler:
    """A switch.Compiler for the counting programs. A policy called `refused` gets a program that the
    verifier refuses; with `moving` the values of a hook lie elsewhere whenever it has one part more."""

    def __init__(self) -> None:
        self.released: list[tuple[str, int, int]] = []
        self.published = 0
        self.moving = False

    def compile(self, number: int, _key: HookKey, parts: Sequence[Part]) -> Compiled:
        rows = {}
        for part in parts:
            for bit in part.bits:
                row = SELECTOR.pack(part.since, part.until, part.slot, 1, 0, 0, 0, 0, 0, 0)
                rows[struct.pack("=I", bit)] = row
        values = 99 if any(part.policy.name == "refused" for part in parts) else len(parts)
        places = [(len(parts) if self.moving else 0,) for _ in parts]
        return Compiled(shape(number, values=values), {"selectors": rows}, places)

    def publish(self) -> None:
        self.published += 1

    def release(self, policy: str, slot: int, since: int) -> None:
        self.released.append((policy, slot, since))


@dataclass
class Running:
    """A switch over real hooks."""

    shared: SharedMaps
    hooks: HookSet
    compiler: CountingCompiler
    book: PolicyBook
    switch: Switch


@contextlib.contextmanager
def running() -> Iterator[Running]:
    """Nothing is installed yet."""
    shared = SharedMaps({}, preallocate=lambda: hooks.must_preallocate())
    hooks = HookSet(shared, None, counting_object())
    compiler, book = CountingCompiler(), PolicyBook()
    try:
        yield Running(shared, hooks, compiler, book, Switch(hooks, compiler, book))
    finally:
        hooks.close()
        shared.close()


def policy(name: str = "p", selectors: int = 1, mode: str = "") -> Policy:
    """With one hook and selectors that all match."""
    labels = tuple(Selector(label=f"s{number}") for number in range(selectors))
    hook = Hook("kprobe", "sys_sched_getscheduler", is_syscall=True, selectors=labels)
    return Policy(name, hooks=(hook,), options=Options(mode=mode), text=name)


def use(of: Policy, key: HookKey = ENTER) -> HookUse:
    """The use of one hook."""
    return HookUse(key, of.key, of.hooks[0], 0, (), (), "sys_sched_getscheduler")


def plan(of: Policy) -> Plan:
    """On entry and exit; a policy called `unplanned` cannot be planned, `unenforceable` only to monitor."""
    if of.name == "unplanned":
        raise KernelRefused("not here", 1)
    if of.name == "unenforceable" and of.options.mode != "monitor":
        return Plan(of.key, problems=(Problem(Where("", 0, ""), "Override is not possible here"),))
    missing = ("sys_none",) if of.name == "partial" else ()
    return Plan(of.key, (use(of, ENTER), use(of, EXIT)), missing=missing)
