# SPDX-License-Identifier: Apache-2.0
"""What the planners of all kinds of hooks share: one hook in the making, and how its uses come about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.kernel.view import KernelView
from agent.policy.model import Hook, Policy, Problem
from agent.policy.reading import Offer, Reader, at_entry
from agent.policy.report import Report
from agent.policy.values import HookKey, HookUse, Shown, Source, Value, ValueFlag, ValueType

ACTING = frozenset(("Sigkill", "Signal", "Override", "NotifyEnforcer", "CleanupEnforcerNotification"))
"""Actions on the call itself, or on who makes it."""
SIGNALLING = frozenset(("Sigkill", "Signal"))
RETURNS = {"fentry": "fexit", "fmod_ret": "fexit", "kprobe": "kretprobe", "sys_enter": "sys_exit"}
"""What runs at a function's end, of the same family: both ends of a call must tell it from others alike."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One hook of a policy that is being planned."""

    policy: Policy
    position: int
    hook: Hook
    view: KernelView
    report: Report
    missing: list[str]
    """Calls that do not exist and were to be ignored."""
    refused: list[Problem] = field(default_factory=list)
    """Why functions of generated lists cannot be hooked."""
    notes: list[str] = field(default_factory=list)

    @property
    def is_monitored(self) -> bool:
        """Whether the policy enforces nothing: what cannot be enforced is then no error."""
        return self.policy.options.mode == "monitor"

    @property
    def actions(self) -> frozenset[str]:
        """Names of all actions at the hook's entry."""
        return frozenset(action.name for selector in self.hook.selectors for action in selector.actions)

    @property
    def needs_registers(self) -> bool:
        """Whether some value is in pt_regs, which only kprobes have."""
        return any(argument.source == "pt_regs" for argument in self.hook.data)

    def error(self, text: str, hint: str = "") -> None:
        """Something for which the policy cannot be loaded."""
        self.report.error(self.hook.where, text, hint)

    def not_found(self, text: str, hint: str = "") -> None:
        """A hook that does not exist here."""
        if self.hook.ignore_not_found:
            self.missing.append(self.hook.target)
        else:
            self.error(
                text, hint or "with ignore.callNotFound: true it is passed over where it does not exist"
            )

    def no_way(self, text: str, hint: str) -> None:
        """A function that exists and takes no program."""
        if self.hook.is_generated:
            self.refused.append(Problem(self.hook.where, text, hint))
        else:
            self.error(text, hint)

    def cannot_enforce(self, text: str, hint: str) -> None:
        """Something that monitor mode only tells."""
        (self.report.warn if self.is_monitored else self.report.error)(self.hook.where, text, hint)


def uses_of(
    draft: Draft, key: HookKey, offer: Offer, function: str, whole_at: HookKey | None
) -> list[HookUse]:
    """The uses of one place: entry alone, or with its return; `whole_at` is where the call ends, None where
    it is not looked at."""
    reading = Reader(draft.hook, offer, draft.view, draft.report, draft.notes).read()
    if whole_at is None:
        return [_use(draft, key, function, "whole", reading.values, reading.shown)]
    if is_whole_at_end(draft, whole_at.attach, reading.values, function):
        return [_use(draft, whole_at, function, "whole", reading.values, reading.shown)]
    return [
        _use(draft, key, function, "entry", at_entry(reading.values), reading.shown),
        _use(draft, whole_at, function, "return", reading.values, reading.shown),
    ]


def is_whole_at_end(draft: Draft, attach: str, values: Iterable[Value], function: str) -> bool:
    """Whether a program that runs at the function's end alone sees the same as one that has begun with it: it
    has the arguments, and nothing that is looked at can have changed meanwhile."""
    if attach == "kretprobe" or draft.actions & ACTING or function.endswith(("sys_execve", "sys_execveat")):
        return False
    if any(
        selector.namespaces or selector.namespace_changes or selector.capabilities
        or selector.capability_changes or selector.credentials
        for selector in draft.hook.selectors
    ):  # fmt: skip
        return False
    return all(_stays(value, function) for value in values)


def _stays(value: Value, function: str) -> bool:
    if value.source in (Source.NONE, Source.RETURN) or value.flags & ValueFlag.AT_RETURN:
        return True
    if value.steps or value.flags & ValueFlag.USER or value.source != Source.ARGUMENT:
        return False
    # the caller holds what it passes to an LSM wrapper, and wrappers change nothing of it
    return value.type in _NUMBERS or function.startswith("security_")


_NUMBERS = frozenset((ValueType.INTEGER, ValueType.CAPABILITY, ValueType.SYSCALL))
"""The argument itself, no memory behind it."""


def _use(
    draft: Draft, key: HookKey, function: str, part: str, values: tuple[Value, ...], shown: tuple[Shown, ...]
) -> HookUse:
    return HookUse(
        key=key,
        policy=draft.policy.key,
        hook=draft.hook,
        position=draft.position,
        values=values,
        shown=shown,
        function_name=function,
        part=part,
        survives_restart=draft.view.can_pin(key.attach),
        notes=tuple(dict.fromkeys(draft.notes)),
    )
