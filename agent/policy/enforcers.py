# SPDX-License-Identifier: Apache-2.0
"""Enforcers: functions whose calls are denied when a hook has left word (NotifyEnforcer) for the task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agent.kernel.view import KernelView
from agent.policy.calls import ABIS
from agent.policy.model import Action, Hook, Policy
from agent.policy.overrides import find_override_alternative, override_ways, way_out
from agent.policy.report import Report, Wrong
from agent.policy.syscalls import entry, native, parse_system_call
from agent.policy.values import HookKey, HookUse


def plan_enforcers(policy: Policy, view: KernelView, report: Report) -> list[HookUse]:
    """One use for each function of the policy's enforcer. Where none can be overridden, signals remain: the
    hook that notifies sends them itself."""
    notifying = list(_notifying(policy))
    uses: list[HookUse] = []
    for call in policy.enforcer_calls:
        uses += _plan_call(call, policy, view, report, notifying)
    if notifying and not policy.enforcer_calls:
        for _hook, action in notifying:
            if action.error:
                report.error(
                    action.where,
                    "NotifyEnforcer: no enforcers are given",
                    "add spec.enforcers with their calls",
                )
    return uses


def with_signals(
    policy: Policy, view: KernelView, uses: Sequence[HookUse], enforcing: Sequence[HookUse]
) -> list[HookUse]:
    """The uses of a policy's hooks; those that notify send their signals themselves where some call of the
    enforcer is not among `enforcing`."""
    wanted = {function for call in policy.enforcer_calls for function in _functions(call, view)}
    if wanted and wanted <= {use.key.target for use in enforcing}:
        return list(uses)
    hooks = [hook for hook, _action in _notifying(policy)]
    return [replace(use, signals_at_once=use.hook in hooks) for use in uses]


def _notifying(policy: Policy) -> Iterator[tuple[Hook, Action]]:
    for hook in policy.hooks:
        for selector in hook.selectors:
            for action in (*selector.actions, *selector.return_actions):
                if action.name == "NotifyEnforcer":
                    yield hook, action


def _plan_call(
    call: str, policy: Policy, view: KernelView, report: Report, notifying: list[tuple[Hook, Action]]
) -> list[HookUse]:
    functions = _functions(call, view)
    if not functions:
        report.error(policy.where, f"enforcers: this kernel has no {call}")
        return []
    uses = []
    for function in functions:
        ways = override_ways(function, policy.options, view)
        if ways.kinds:
            uses.append(_use(policy, call, ways.kinds[0], function, view))
        else:
            _tell(call, ways.reasons, policy, view, report, notifying)
    return uses


def _functions(call: str, view: KernelView) -> list[str]:
    """Entry functions of a system call in both ABIs, or the function itself."""
    if view.has_function(call):
        return [call]
    try:
        parsed = parse_system_call(call)
    except Wrong:
        return []
    abi = ABIS.get(view.machine)
    if abi is None:
        return []
    name = entry(parsed.name, native(view.machine)).removeprefix("sys_")
    own = [f"{abi.native}{name}"] if parsed.abi != "32" else []
    others = [f"{prefix}{name}" for prefix in abi.compat] if parsed.abi != "64" else []
    first = next((function for function in others if view.has_function(function)), "")
    return [function for function in (*own, first) if function and view.has_function(function)]


def _tell(
    call: str,
    reasons: tuple[str, ...],
    policy: Policy,
    view: KernelView,
    report: Report,
    notifying: list[tuple[Hook, Action]],
) -> None:
    """An error where only the override was asked for; with a signal a warning, because that is sent."""
    text = f"enforcers: {call} cannot be overridden here: {'; '.join(reasons)}"
    needs = any(action.error and not action.signal for _hook, action in notifying)
    if needs and policy.options.mode != "monitor":
        report.error(policy.where, text, way_out(call, view))
    else:
        report.warn(policy.where, f"{text}; signals are sent by the hooks that notify", way_out(call, view))


def _use(policy: Policy, call: str, kind: str, function: str, view: KernelView) -> HookUse:
    hook = Hook("enforcer", call, is_syscall=function != call, where=policy.where)
    return HookUse(
        key=HookKey(kind, find_override_alternative(function) if kind == "lsm" else function),
        policy=policy.key,
        hook=hook,
        position=-1,
        values=(),
        shown=(),
        function_name=function,
        part="enforcer",
        survives_restart=view.can_pin(kind),
    )
