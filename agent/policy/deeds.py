# SPDX-License-Identifier: Apache-2.0
"""What a selector that matches does: struct selector.

An event is posted unless NoPost says otherwise (`Sigkill` alone posts as well, as in Tetragon).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from agent.policy.layout import NO_VALUE, SELECTOR, ActionFlag, HookFlag, pack_set
from agent.policy.model import Action, Hook, Selector

SIGKILL = 9
FLAGS = {
    "Sigkill": ActionFlag.SIGNAL,
    "Signal": ActionFlag.SIGNAL,
    "Override": ActionFlag.OVERRIDE,
    "NotifyEnforcer": ActionFlag.NOTIFY_ENFORCER,
    "CleanupEnforcerNotification": ActionFlag.CLEANUP_ENFORCER,
    "TrackSock": ActionFlag.TRACK_SOCK,
    "UntrackSock": ActionFlag.UNTRACK_SOCK,
}
SCOPES = {
    "thread": ActionFlag.RATE_LIMIT,
    "process": ActionFlag.RATE_LIMIT | ActionFlag.RATE_BY_PROCESS,
    "global": ActionFlag.RATE_LIMIT | ActionFlag.RATE_GLOBAL,
}
HOOK_FLAGS = {
    ActionFlag.OVERRIDE: HookFlag.OVERRIDES,
    ActionFlag.SIGNAL: HookFlag.SIGNALS,
    ActionFlag.KERNEL_STACK: HookFlag.KERNEL_STACK,
    ActionFlag.USER_STACK: HookFlag.USER_STACK,
    ActionFlag.RATE_LIMIT: HookFlag.RATE_LIMITS,
    ActionFlag.TRACK_SOCK: HookFlag.TRACKS_SOCKETS,
    ActionFlag.UNTRACK_SOCK: HookFlag.TRACKS_SOCKETS,
    ActionFlag.NOTIFY_ENFORCER: HookFlag.ENFORCES,
    ActionFlag.CLEANUP_ENFORCER: HookFlag.ENFORCES,
    ActionFlag.ENFORCE: HookFlag.ENFORCES | HookFlag.OVERRIDES | HookFlag.SIGNALS,
}
"""What a program needs for its selectors' actions."""


class Phase(Enum):
    """When a use of a hook is judged, in the life of a call."""

    WHOLE = "at once"
    """At entry, or at the return of a function whose arguments are still there (fexit)."""
    ENTRY = "entry of a call that is reported at its return"
    RETURN = "return of a call that was kept at its entry"


@dataclass(frozen=True, slots=True)
class Deeds:
    """Actions of a selector, folded."""

    flags: ActionFlag = ActionFlag.POST
    error: int = 0
    """Negative errno of Override or NotifyEnforcer."""
    signal: int = 0
    rate_ns: int = 0
    sock: int | None = None
    """Position of the tracked socket in hook.arguments; -1: the return value."""

    def with_action(self, action: Action) -> Deeds:
        """This and one action more."""
        flags = self.flags | FLAGS.get(action.name, ActionFlag(0))
        if action.name == "NoPost":
            flags &= ~ActionFlag.POST
        flags |= SCOPES[action.rate_scope] if action.rate_ns else ActionFlag(0)
        flags |= ActionFlag.KERNEL_STACK if action.kernel_stack else ActionFlag(0)
        flags |= ActionFlag.USER_STACK if action.user_stack else ActionFlag(0)
        signal = SIGKILL if action.name == "Sigkill" else action.signal
        return Deeds(
            flags,
            action.error or self.error,
            SIGKILL if SIGKILL in (signal, self.signal) else signal or self.signal,
            action.rate_ns or self.rate_ns,
            self.sock if action.sock is None else action.sock,
        )


ENFORCER = Deeds(ActionFlag.ENFORCE)
"""Of the enforcer's calls: what was left for the thread is done, nothing is posted."""


def actions_in(hook: Hook, selector: Selector, phase: Phase) -> Sequence[Action]:
    """Actions that are due in a phase. What matchActions enforces has happened at the entry already."""
    if phase is Phase.RETURN:
        posting = tuple(action for action in selector.actions if action.name in ("Post", "NoPost"))
        return (*posting, *selector.return_actions, *returned(hook))
    if phase is Phase.WHOLE and hook.returns:
        return (*selector.actions, *selector.return_actions, *returned(hook))
    return selector.actions


def returned(hook: Hook) -> tuple[Action, ...]:
    """returnArgAction, as an action on the return value."""
    return (Action(hook.return_action, sock=-1),) if hook.return_action else ()


def deeds_of(hook: Hook, selector: Selector, phase: Phase, *, signals_at_once: bool = False) -> Deeds:
    """What a selector does in a phase. `signals_at_once`: the signal of NotifyEnforcer is not left to the
    enforcer."""
    if hook.kind == "enforcer":
        return ENFORCER
    deeds = Deeds()
    for action in actions_in(hook, selector, phase):
        deeds = deeds.with_action(action)
    if signals_at_once and deeds.signal and deeds.flags & ActionFlag.NOTIFY_ENFORCER:
        deeds = replace(deeds, flags=deeds.flags | ActionFlag.SIGNAL)
    if phase is Phase.ENTRY:
        waits = ActionFlag.POST | ActionFlag.RATE_LIMIT
        deeds = replace(deeds, flags=deeds.flags & ~waits)
    return deeds


def names_processes(selector: Selector) -> bool:
    """Whether the selector names whom it acts on: then it may act on protected processes."""
    return any(f.operator == "In" and not f.follow_children for f in selector.binaries) or any(
        f.is_in and not f.follow_forks for f in selector.pids
    )


def hook_flags(deeds: Sequence[Deeds]) -> HookFlag:
    """What the hook's program needs."""
    flags = HookFlag(0)
    for deed in deeds:
        for action, needed in HOOK_FLAGS.items():
            if deed.flags & action:
                flags |= needed
    return flags


def pack_selector(
    deeds: Deeds,
    *,
    epochs: tuple[int, int],
    later: int,
    slot: int,
    values: int,
    sock_value: int | None,
    is_return: bool,
    names_protected: bool,
) -> bytes:
    """struct selector."""
    return SELECTOR.pack(
        *epochs,
        pack_set(later),
        slot,
        deeds.flags,
        deeds.error,
        deeds.signal,
        values,
        NO_VALUE if sock_value is None else sock_value,
        is_return,
        deeds.rate_ns,
        names_protected,
    )
