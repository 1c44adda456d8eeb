# SPDX-License-Identifier: Apache-2.0
"""Policies of one hook, planned for this kernel's types; how things can be attached is told, not tried."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from agent.kernel.probes import Answer
from agent.kernel.view import KernelView
from agent.policy.model import Action, Argument, Hook, Options, Policy, Selector
from agent.policy.plan import plan_policy
from agent.policy.values import Plan

KINDS = ("fentry", "fexit", "fmod_ret", "lsm", "kprobe", "kretprobe", "tp_btf", "raw_tp", "tracepoint")
ALL = {kind: Answer(True) for kind in (*KINDS, "sys_enter", "bpf_override_return", "bpf_send_signal")}


def without(*kinds: str) -> dict[str, Answer]:
    """A kernel that takes everything but these."""
    return ALL | {kind: Answer(False, f"{kind} is off") for kind in kinds}


ONLY_RAW = without("fentry", "fexit", "fmod_ret", "lsm", "kprobe", "bpf_override_return")


@cache
def _only() -> KernelView:
    return KernelView()


def shared(known: dict[str, Answer]) -> KernelView:
    """The one view of all tests: types and symbols are read once, which takes seconds on emulated CPUs."""
    _only().known = known
    return _only()


@pytest.fixture
def view() -> KernelView:
    return shared(ALL)


def kprobe(target: str, *types: str, **more: Any) -> Hook:
    """A hook on a function whose arguments have these types."""
    arguments = tuple(Argument(index, name) for index, name in enumerate(types))
    return Hook("kprobe", target, arguments=arguments, **more)


def acting(hook: Hook, *names: str) -> Hook:
    """The same with actions."""
    return replace(hook, selectors=(Selector(actions=tuple(Action(name, error=-1) for name in names)),))


def plan(*hooks: Hook, known: dict[str, Answer] | None = None, mode: str = "", method: str = "") -> Plan:
    """Of a policy with these hooks, on a kernel where things can be attached as `known` says."""
    policy = Policy("test", hooks=hooks, options=Options(mode, method))
    return plan_policy(policy, shared(ALL if known is None else known))


def keys(found: Plan) -> list[tuple[str, str, str]]:
    """How, where and which part."""
    return [(use.key.attach, use.key.target, use.part) for use in found.uses]


def texts(found: Plan) -> str:
    """All that is wrong."""
    return "\n".join(f"{problem.text} ({problem.hint})" for problem in found.problems)
