# SPDX-License-Identifier: Apache-2.0
"""Whole policies on this kernel, with what it really takes; and real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel import tiny
from agent.kernel.view import KernelView
from agent.policy.model import Action, Argument, ArgumentFilter, Hook, Policy, Selector
from agent.policy.parse import read_policies
from agent.policy.plan import plan_policy
from tests.agent.policy.planning import acting, keys, kprobe, plan, texts, without

pytestmark = [pytest.mark.kernel, pytest.mark.root]

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "tetragon-policies"
IS_ABSENT = not CORPUS.is_dir()
GONE = ("find_module_sections", "kfree_skb_reason", "__cgroup_bpf_run_filter_skb")
"""Functions that some kernels inline, or do not have yet or any more."""


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelView]:
    with KernelView() as found:
        yield found


def expected(policy: Policy, kernel: KernelView) -> str:
    """Why a real policy cannot be loaded here, by what is known of this kernel; empty where it can."""
    functions = [hook for hook in policy.hooks if hook.kind in ("kprobe", "fentry") and not hook.is_syscall]
    if any(hook.kind == "lsm" for hook in policy.hooks) and not kernel.offers("lsm").there:
        return "LSM programs do not work here"
    names = [hook.target for hook in functions if not hook.ignore_not_found]
    if missing := [name for name in names if name in GONE and not kernel.has_function(name)]:
        return missing[0]
    if functions and not kernel.offers("fentry").there and not kernel.offers("kprobe").there:
        return "cannot be hooked here"
    denied = [
        hook for hook in policy.hooks if any(a.name == "Override" for s in hook.selectors for a in s.actions)
    ]
    if any(hook.is_syscall for hook in denied) and not kernel.offers("bpf_override_return").there:
        return "Override of"
    return ""


def policies() -> list[Path]:
    return sorted(CORPUS.glob("*.yaml"))


@pytest.mark.skipif(IS_ABSENT, reason="no policies of others beside the checkout")
def test_each_real_policy_is_loadable_or_refused_for_the_reason_that_we_know(kernel: KernelView) -> None:
    wrong = {}
    for path in policies():
        for policy in read_policies(path)[0]:
            found, reason = plan_policy(policy, kernel), expected(policy, kernel)
            if found.is_loadable == bool(reason) or reason not in texts(found):
                wrong[path.name] = (reason, texts(found))
    assert wrong == {}


@pytest.mark.skipif(IS_ABSENT, reason="no policies of others beside the checkout")
def test_every_planned_target_of_a_real_policy_is_accepted_by_the_kernel(kernel: KernelView) -> None:
    uses = [
        use
        for path in policies()
        for policy in read_policies(path)[0]
        for use in plan_policy(policy, kernel).uses
    ]
    by_types = {
        use.key
        for use in uses
        if use.key.attach in tiny.TYPES and tiny.TYPES[use.key.attach].prefix is not None
    }
    assert len(uses) > 300
    assert [key for key in by_types if not kernel.takes(*key).there] == []


def test_what_is_tried_and_refused_is_no_answer_of_the_plan(kernel: KernelView) -> None:
    found = plan_policy(Policy("test", hooks=(kprobe("security_file_open", "file"),)), kernel)
    works = bool(kernel.offers("fentry").there or kernel.offers("kprobe").there)
    assert found.is_loadable == works, texts(found)


def test_all_problems_are_told_at_once() -> None:
    found = plan(kprobe("tcp_conect"), kprobe("security_file_open", "sock"), Hook("uprobe", "/bin/sh"))
    assert len([problem for problem in found.problems if problem.is_error]) == 3


def test_signals_that_cannot_be_sent_are_an_error() -> None:
    hook = acting(kprobe("tcp_connect"), "Sigkill")
    assert not plan(hook, known=without("bpf_send_signal")).is_loadable
    assert plan(hook, known=without("bpf_send_signal"), mode="monitor").is_loadable


def test_a_call_that_is_over_is_not_overridden() -> None:
    selector = Selector(return_actions=(Action("Override", error=-1),))
    hook = kprobe(
        "security_file_open", returns=True, selectors=(selector,), return_argument=Argument(0, "int")
    )
    assert "nothing is left to override" in texts(plan(hook))


def test_filters_of_the_result_need_the_return() -> None:
    selector = Selector(return_arguments=(ArgumentFilter(0, "Equal", ("0",)),))
    assert "need `return: true`" in texts(plan(kprobe("security_file_open", selectors=(selector,))))


def test_a_policy_of_which_nothing_exists_is_told() -> None:
    found = plan(kprobe("security_of_another_planet", ignore_not_found=True))
    assert (found.is_loadable, keys(found)) == (True, [])
    assert "nothing of this policy exists" in texts(found)


def test_what_cannot_be_hooked_of_a_generated_list_is_passed_over(kernel: KernelView) -> None:
    changed = next(name for name in kernel.symbols if ".constprop." in name)
    hooks = [kprobe(name, is_generated=True) for name in ("tcp_connect", changed)]
    found = plan(*hooks, known=without("kprobe"))
    assert (found.is_loadable, [target for _, target, _ in keys(found)]) == (True, ["tcp_connect"])
    assert f"passed over: {changed} cannot be hooked here" in texts(found)
    assert not plan(hooks[1], known=without("kprobe")).is_loadable
    assert not plan(kprobe("tcp_connect"), kprobe(changed), known=without("kprobe")).is_loadable


def test_links_of_perf_events_may_end_with_the_agent(kernel: KernelView) -> None:
    found = plan(kprobe("tcp_connect"), known=without("fentry"))
    assert found.uses[0].survives_restart == kernel.can_pin("kprobe")
