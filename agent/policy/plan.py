# SPDX-License-Identifier: Apache-2.0
"""How a policy runs on this kernel: each hook in the cheapest way that means the same (fentry before kprobe,
raw tracepoint before tracepoint), its values by the kernel's own types, or why not."""

from __future__ import annotations

from collections.abc import Callable

from agent.kernel.view import KernelView
from agent.policy.calls import plan_system_call
from agent.policy.drafts import SIGNALLING, Draft
from agent.policy.enforcers import plan_enforcers, with_signals
from agent.policy.functions import plan_function, plan_lsm
from agent.policy.model import Hook, Policy, Problem
from agent.policy.overrides import find_override_alternative
from agent.policy.points import plan_tracepoint
from agent.policy.report import Report
from agent.policy.values import HookUse, Plan

__all__ = ["find_override_alternative", "plan_policy"]

_PLANNERS: dict[str, Callable[[Draft], list[HookUse]]] = {
    "kprobe": plan_function,
    "fentry": plan_function,
    "lsm": plan_lsm,
    "tracepoint": plan_tracepoint,
    "raw_tracepoint": plan_tracepoint,
}


def plan_policy(policy: Policy, kernel: KernelView) -> Plan:
    """Decides for every hook; problems of all of them together. Nothing is left attached. Raises
    KernelUnsupported on a kernel without BTF."""
    report = Report()
    missing: list[str] = []
    refused: list[Problem] = []
    uses: list[HookUse] = []
    for position, hook in enumerate(policy.hooks):
        draft = Draft(policy, position, hook, kernel, report, missing, refused)
        uses += _plan_hook(draft)
    _pass_over(refused, report, some_are_left=any(use.hook.is_generated for use in uses))
    enforcing = plan_enforcers(policy, kernel, report)
    uses = [*with_signals(policy, kernel, uses, enforcing), *enforcing]
    if not uses and not report.errors:
        report.warn(policy.where, f"{policy.key}: nothing of this policy exists on this kernel")
    return Plan(policy.key, tuple(uses), tuple(report.problems()), tuple(missing))


def _pass_over(refused: list[Problem], report: Report, *, some_are_left: bool) -> None:
    """A generated list means what this kernel has: what cannot be hooked of it is told, and the rest runs.
    Nobody could leave it out: patterns (RE2) cannot say `all but`."""
    for problem in refused:
        if some_are_left:
            report.warn(problem.where, f"passed over: {problem.text}")
        else:
            report.error(problem.where, problem.text, problem.hint)


def _plan_hook(draft: Draft) -> list[HookUse]:
    _check_actions(draft)
    if draft.hook.is_syscall and draft.hook.kind in ("kprobe", "fentry"):
        return plan_system_call(draft)
    planner = _PLANNERS.get(draft.hook.kind)
    if planner is None:
        draft.error(f"{draft.hook.kind} hooks do not run yet", "they are checked only")
        return []
    return planner(draft)


def _check_actions(draft: Draft) -> None:
    """What no way of attaching changes."""
    if _signals(draft.hook):
        answer = draft.view.offers("bpf_send_signal")
        if answer.there is False:
            draft.cannot_enforce(
                f"signals cannot be sent here: bpf_send_signal is {answer.reason}", "use Override"
            )
    late = [action for selector in draft.hook.selectors for action in selector.return_actions]
    for action in late:
        if action.name == "Override":
            draft.report.error(
                action.where, "matchReturnActions: the call is over, nothing is left to override"
            )
    wants_return = late or any(selector.return_arguments for selector in draft.hook.selectors)
    if wants_return and not draft.hook.returns:
        draft.error(f"{draft.hook.target}: matchReturnArgs and matchReturnActions need `return: true`")


def _signals(hook: Hook) -> bool:
    return any(
        action.name in SIGNALLING
        for selector in hook.selectors
        for action in (*selector.actions, *selector.return_actions)
    )
