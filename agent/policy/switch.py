# SPDX-License-Identifier: Apache-2.0
"""Changes of policies on all their hooks at one instant.

New selectors are installed to count from the next epoch on and old ones until then; then the epoch is
written once; then the old ones are taken away. What fails before the epoch is written is taken back, and
nothing was changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.errors import HookRefused, TracehoundError
from agent.policy.book import HookFacts, PolicyBook
from agent.policy.layout import HOOK_SELECTORS
from agent.policy.model import Policy
from agent.policy.values import HookKey, HookUse

FOREVER = (1 << 64) - 1
_FORGET_S = 60.0
"""After this time no record of a selector that is gone waits anywhere."""


class Compiled(Protocol):
    """agent.policy.compile.CompiledHook, as far as it is looked at here."""

    @property
    def shape(self) -> bytes:
        """struct shape."""

    @property
    def maps(self) -> Mapping[str, Mapping[bytes, bytes]]:
        """Content of the hook's maps."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Entries of the hook's maps."""

    @property
    def value_of(self) -> Sequence[tuple[int, ...]]:
        """For each part: where its use's values stand in the shape."""


class Hooks(Protocol):
    """agent.kernel.hooks.HookSet, as far as it is used here."""

    def install(self, key: HookKey, compiled: Compiled) -> None:
        """All or nothing, for one hook."""

    def remove(self, key: HookKey) -> None:
        """Nothing is judged there any more."""

    def flip(self, epoch: int) -> None:
        """The instant."""

    def counts(self, key: HookKey) -> dict[int, tuple[int, ...]]:
        """struct selector_count by selector."""

    def finish(self) -> None:
        """After a change."""


@dataclass(frozen=True, slots=True)
class Part:
    """One policy's use of a hook, with its place there."""

    policy: Policy
    use: HookUse
    slot: int
    """Of the policy, in the map `policies`."""
    bits: tuple[int, ...]
    """Of its selectors in order; one when it has none and everything matches."""
    since: int
    """First epoch in which it counts."""
    until: int = FOREVER
    """First epoch in which it counts no more."""
    before: tuple[tuple[int, ...], ...] = field(default=(), compare=False)
    """What the counters of its bits showed when it came."""

    @property
    def identity(self) -> tuple[HookKey, tuple[int, ...], int]:
        """The same while it is there."""
        return self.use.key, self.bits, self.since

    @property
    def call(self) -> tuple[int, int, int, str]:
        """Its parts at the begin and the end of a call have the same one."""
        return self.slot, self.since, self.use.position, self.use.function_name


class Compiler(Protocol):
    """How parts become programs; agent.policy.manager has the real one."""

    def compile(self, number: int, key: HookKey, parts: Sequence[Part]) -> Compiled:
        """`number` is the hook's. Raises a TracehoundError for what one hook cannot hold."""

    def publish(self) -> None:
        """Before selectors count: what processes are asked is known of every process."""

    def release(self, policy: str, slot: int, since: int) -> None:
        """This version of a policy asks nothing any more."""


@dataclass(slots=True)
class _Hook:
    """One hook as it is installed."""

    number: int
    parts: tuple[Part, ...]
    compiled: Compiled

    def names(self) -> set[tuple[int, int, int]]:
        """By which records name its selectors."""
        return {(self.number, bit, part.since) for part in self.parts for bit in part.bits}


class Switch:
    """All hooks of all policies, and the epoch."""

    def __init__(self, hooks: Hooks, compiler: Compiler, book: PolicyBook, takes_over: bool = False) -> None:
        self.takes_over = takes_over
        """Whether hooks of an agent before judge until ours take their places: then there is no instant to
        wait for, and selectors count as soon as their hook does."""
        self._hooks = hooks
        self._compiler = compiler
        self._book = book
        self._installed: dict[HookKey, _Hook] = {}
        self._numbers = 0
        self._forgotten: deque[tuple[float, tuple[int, int, int]]] = deque()
        """Entries of the book that go, and when (CLOCK_MONOTONIC)."""
        self.passed_over: list[tuple[Part, str]] = []
        """What the last change left out: functions of generated lists that take no program, and why."""
        self.epoch = 1
        hooks.flip(self.epoch)

    def change(self, leaving: Collection[Part], coming: Sequence[tuple[Policy, int, HookUse]]) -> list[Part]:
        """One transaction; `coming` are policy, slot and use. Returns the parts that count now. Raises a
        TracehoundError, and everything is as before."""
        following = self.epoch + 1
        gone = {part.identity for part in leaving}
        added = self._place(coming, following)
        keys = {part.use.key for part in (*leaving, *added)}
        wanted = {
            key: tuple(
                replace(part, until=following) if part.identity in gone else part for part in self._parts(key)
            )
            + tuple(part for part in added if part.use.key == key)
            for key in keys
        }
        try:
            compiled = self._prepared(wanted)
            is_early = self.takes_over and not keys & self._installed.keys()
            if is_early:
                self._flip(following)
            self.passed_over = self._install_all(compiled)
        except TracehoundError:
            self._release(added)
            raise
        if not is_early:
            self._flip(following)
        without = {part.identity for part, _ in self.passed_over}
        added = [part for part in added if part.identity not in without]
        keys = {key for key in keys if key in self._installed}
        self._sweep(keys)
        self._release(leaving)
        if leaving and not self._installed:
            self._compiler.publish()  # nobody asks any more: what follows processes has not to outlive us
        self._hooks.finish()
        return added

    def parts(self) -> list[Part]:
        """All that is installed."""
        return [part for hook in self._installed.values() for part in hook.parts]

    def counts(self, part: Part) -> list[tuple[int, ...]]:
        """struct selector_count of each of the part's selectors, since it came."""
        now = self._hooks.counts(part.use.key)
        return [_since(now.get(bit, ()), past) for bit, past in zip(part.bits, part.before, strict=True)]

    def _parts(self, key: HookKey) -> tuple[Part, ...]:
        return self._installed[key].parts if key in self._installed else ()

    def _place(self, coming: Sequence[tuple[Policy, int, HookUse]], since: int) -> list[Part]:
        """Gives every use its bits."""
        placed: list[Part] = []
        for policy, slot, use in coming:
            there = [*self._parts(use.key), *(part for part in placed if part.use.key == use.key)]
            taken = {bit for part in there for bit in part.bits}
            free = [bit for bit in range(HOOK_SELECTORS) if bit not in taken]
            needed = max(1, len(use.hook.selectors))
            if needed > len(free):
                raise TracehoundError(
                    f"{use.key.attach} {use.key.target}: {needed} selectors, and {len(free)} are free",
                    f"one hook holds {HOOK_SELECTORS} selectors of all policies: delete or join some",
                )
            bits = tuple(free[:needed])
            now = self._hooks.counts(use.key) if use.key in self._installed else {}
            before = tuple(now.get(bit, ()) for bit in bits)
            placed.append(Part(policy, use, slot, bits, since, before=before))
        return placed

    def _flip(self, epoch: int) -> None:
        self._hooks.flip(epoch)
        self.epoch = epoch

    def _prepared(self, wanted: Mapping[HookKey, tuple[Part, ...]]) -> dict[HookKey, _Hook]:
        compiled = {key: self._compiled(key, parts) for key, parts in wanted.items()}
        self._compiler.publish()
        return compiled

    def _install_all(self, compiled: Mapping[HookKey, _Hook]) -> list[tuple[Part, str]]:
        """On every hook, or on none; but functions of generated lists that take no program are left out."""
        done: dict[HookKey, _Hook | None] = {}
        refused: list[tuple[Part, HookRefused]] = []
        try:
            for key, hook in compiled.items():
                before = self._installed.get(key)
                try:
                    self._install(key, hook)
                    done[key] = before
                except HookRefused as error:
                    if before or not all(part.use.hook.is_generated for part in hook.parts):
                        raise
                    refused += [(part, error) for part in hook.parts]
            return self._left_out(compiled, done, refused)
        except TracehoundError:
            for key, before in done.items():
                self._take_back(key, before)
            raise

    def _left_out(
        self,
        compiled: Mapping[HookKey, _Hook],
        done: Mapping[HookKey, _Hook | None],
        refused: Sequence[tuple[Part, HookRefused]],
    ) -> list[tuple[Part, str]]:
        """Parts of calls that are refused at their begin or end; raises the refusal where a policy would have
        no call left."""
        why = {part.call: error for part, error in refused}
        coming = [part for hook in compiled.values() for part in hook.parts if part.until == FOREVER]
        left = {part.slot for part in coming if part.call not in why}
        for part, error in refused:
            if part.slot not in left:
                raise error
        found = []
        for key, hook in compiled.items():
            gone = [part for part in hook.parts if part.call in why]
            found += [(part, why[part.call].message) for part in gone]
            if gone and key in done:
                if done[key] or len(gone) < len(hook.parts):
                    raise why[gone[0].call]
                self._remove(key)
        return found

    def _install(self, key: HookKey, hook: _Hook) -> None:
        """The book knows the selectors before records can name them, and for a while after."""
        before = self._installed.get(key)
        self._note(hook)
        try:
            self._hooks.install(key, hook.compiled)
        except TracehoundError:
            self._forget(hook.names() - (before.names() if before else set()))
            raise
        self._installed[key] = hook
        if before:
            self._forget(before.names() - hook.names())

    def _release(self, parts: Collection[Part]) -> None:
        """Process conditions of parts that are gone; a hook that could not be swept keeps its own."""
        stay = {(part.use.policy, part.slot, part.since) for part in self.parts()}
        for owner in {(part.use.policy, part.slot, part.since) for part in parts} - stay:
            self._compiler.release(*owner)

    def _take_back(self, key: HookKey, before: _Hook | None) -> None:
        """What came is not counting yet, so it may also stay where the kernel has no memory to take it
        back."""
        if before is None:
            if key in self._installed:
                self._remove(key)
            return
        try:
            self._install(key, before)
        except TracehoundError:
            stay = {part.identity for part in before.parts}
            parts = self._installed[key].parts
            held = tuple(part if part.identity in stay else replace(part, until=0) for part in parts)
            self._installed[key].parts = held

    def _remove(self, key: HookKey) -> None:
        self._hooks.remove(key)
        self._forget(self._installed.pop(key).names())

    def _sweep(self, keys: Collection[HookKey]) -> None:
        """Takes away what counts no more. Where that fails its bits stay taken until the next change
        there."""
        for key in keys:
            parts = self._installed[key].parts
            left = tuple(part for part in parts if part.until > self.epoch)
            if not left:
                self._remove(key)
            elif left != parts:
                with suppress(TracehoundError):
                    self._install(key, self._compiled(key, left))

    def _compiled(self, key: HookKey, parts: tuple[Part, ...]) -> _Hook:
        """A hook has another number when values of a part that stays move: records name the number, and are
        read by it."""
        before = self._installed.get(key)
        number = before.number if before else self._next()
        compiled = self._compiler.compile(number, key, parts)
        if before and _moved(before, parts, compiled):
            number = self._next()
            compiled = self._compiler.compile(number, key, parts)
        return _Hook(number, parts, compiled)

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    def _note(self, hook: _Hook) -> None:
        for part, indexes in zip(hook.parts, hook.compiled.value_of, strict=True):
            for position, bit in enumerate(part.bits):
                facts = HookFacts(part.policy.name, part.use, indexes, position, part.policy.namespace)
                self._book.note(hook.number, bit, part.since, facts)

    def _forget(self, names: Collection[tuple[int, int, int]]) -> None:
        """Later, and only what has not come back by then."""
        now = time.monotonic()
        self._forgotten += [(now + _FORGET_S, name) for name in names]
        if not self._forgotten or self._forgotten[0][0] >= now:
            return
        there = {name for hook in self._installed.values() for name in hook.names()}
        while self._forgotten and self._forgotten[0][0] < now:
            _, name = self._forgotten.popleft()
            if name not in there:
                self._book.forget(*name)


def _moved(before: _Hook, parts: Sequence[Part], compiled: Compiled) -> bool:
    """Whether a part that was there reads its values from other places now."""
    old = {part.bits: place for part, place in zip(before.parts, before.compiled.value_of, strict=True)}
    return any(
        old.get(part.bits, place) != place for part, place in zip(parts, compiled.value_of, strict=True)
    )


def _since(now: Sequence[int], past: Sequence[int]) -> tuple[int, ...]:
    return tuple(count - (past[at] if at < len(past) else 0) for at, count in enumerate(now))
