# SPDX-License-Identifier: Apache-2.0
"""Policies without an agent: read, planned for this kernel and compiled, to tell what would become of
them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.enrich.procfs import host_namespaces
from agent.errors import KernelUnsupported
from agent.kernel.tiny import takes_fetching_atomics
from agent.kernel.view import KernelView
from agent.policy.classes import ClassTable
from agent.policy.compile import CompiledHook, Placed, compile_hook
from agent.policy.conditions import NAMESPACES, KernelFacts
from agent.policy.contents import PolicyRefused
from agent.policy.model import Policy, Problem
from agent.policy.parse import duplicates, read_policies
from agent.policy.plan import plan_policy
from agent.policy.switch import FOREVER
from agent.policy.values import HookKey, HookUse, Plan


@dataclass(frozen=True, slots=True)
class Tried:
    """One policy."""

    policy: Policy
    plan: Plan
    compiled: dict[HookKey, CompiledHook] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Of plan and compilation."""

    @property
    def is_good(self) -> bool:
        """Whether it would be loaded here, as far as can be told without loading it."""
        return not any(problem.is_error for problem in self.problems)


@dataclass(slots=True)
class Trial:
    """Some files."""

    tried: list[Tried] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """Of all files and policies, errors and warnings."""
    unchecked: str = ""
    """Why nothing was compared with this kernel; empty when it was."""

    @property
    def is_good(self) -> bool:
        """Whether there is no error."""
        return not any(problem.is_error for problem in self.problems)


def try_files(paths: Iterable[Path]) -> Trial:
    """Everything about these files that can be told without loading them. Nothing raises."""
    trial, policies = Trial(), list[Policy]()
    for path in paths:
        found, problems = read_policies(path)
        policies += found
        trial.problems += problems
    trial.problems += duplicates(policies)
    with KernelView() as view:
        try:
            facts = kernel_facts(view)
        except KernelUnsupported as error:
            trial.unchecked = error.message
            return trial
        trial.tried = [_try(policy, view, facts) for policy in policies]
    for one in trial.tried:
        trial.problems += [problem for problem in one.problems if problem not in trial.problems]
    return trial


def kernel_facts(view: KernelView) -> KernelFacts:
    """What compiled hooks depend on. Raises KernelUnsupported on a kernel without BTF."""
    numbers = zip(NAMESPACES, host_namespaces(NAMESPACES), strict=True)
    return KernelFacts(
        has_atomics=not view.may_load or takes_fetching_atomics(),
        has_cast=view.btf.has_function("bpf_rdonly_cast"),
        has_override=view.offers("bpf_override_return").there is not False,
        guards=view.guards,
        host_namespaces={name: number for name, number in numbers if number},
    )


def _try(policy: Policy, view: KernelView, facts: KernelFacts) -> Tried:
    plan = plan_policy(policy, view)
    compiled: dict[HookKey, CompiledHook] = {}
    problems = list(plan.problems)
    classes = ClassTable()
    for key, uses in _by_key(plan.uses).items():
        try:
            compiled[key] = compile_hook(1, key, list(_placed(policy, uses)), classes, facts)
        except PolicyRefused as refused:
            problems += refused.problems
    return Tried(policy, plan, compiled, tuple(problems))


def _by_key(uses: Iterable[HookUse]) -> dict[HookKey, list[HookUse]]:
    found: dict[HookKey, list[HookUse]] = {}
    for use in uses:
        found.setdefault(use.key, []).append(use)
    return found


def _placed(policy: Policy, uses: Sequence[HookUse]) -> Iterator[Placed]:
    """Side by side, as if nothing else were on the hook."""
    bit = 0
    for use in uses:
        count = max(1, len(use.hook.selectors))
        yield Placed(use, 0, tuple(range(bit, bit + count)), 1, FOREVER, policy.workload)
        bit += count
