# SPDX-License-Identifier: Apache-2.0
"""Each policy of the library says what it is, can be planned for this kernel's types, and has its cases."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from agent.kernel.view import KernelView
from agent.policy.automaton import ENTRIES_MOST, build_automaton
from agent.policy.operators import Pattern
from agent.policy.plan import plan_policy
from agent.policy.profiles import library_files
from tests.agent.policy.planning import shared, without
from tests.tracingpolicies.library import DOCUMENT, policies, read_cases, table

ANNOTATIONS = ("description", "attack", "volume", "tune")
TECHNIQUE = re.compile(r"T\d{4}(\.\d{3})?")
"""ATT&CK's numbers: T1003, T1003.008."""
ENFORCING = ("deny-", "kill-", "stop-")
each = pytest.mark.parametrize("name", sorted(policies()))


@pytest.fixture
def view() -> KernelView:
    return shared(without("bpf_override_return"))


@each
def test_a_policy_is_named_as_its_file(name: str) -> None:
    assert policies()[name].name == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


@each
def test_a_policy_has_its_annotations(name: str) -> None:
    told = dict(policies()[name].annotations)
    assert all(told[f"tracehound.io/{key}"].strip() for key in ANNOTATIONS)
    assert all(TECHNIQUE.fullmatch(word) for word in told["tracehound.io/attack"].split())


@each
def test_every_hook_has_a_message(name: str) -> None:
    assert all(hook.message for hook in policies()[name].hooks)


@each
def test_what_could_break_a_workload_only_monitors(name: str) -> None:
    hooks = policies()[name].hooks
    actions = {action.name for hook in hooks for selector in hook.selectors for action in selector.actions}
    assert (actions <= {"Post", "NoPost"}) != name.startswith(ENFORCING)
    assert (policies()[name].options.mode == "monitor") == name.startswith(ENFORCING)


@each
def test_file_and_network_policies_hook_the_kernel_s_objects(name: str) -> None:
    calls = {hook.target for hook in policies()[name].hooks if hook.is_syscall}
    assert calls <= {
        "sys_setns", "sys_delete_module", "sys_reboot", "sys_kexec_load", "sys_kexec_file_load",
        "sys_io_uring_setup", "sys_open_by_handle_at",
    }  # fmt: skip


@each
def test_a_policy_fits_this_kernel_s_types(name: str, view: KernelView) -> None:
    policy = policies()[name]
    plan = plan_policy(policy, view)
    functions = [hook for hook in policy.hooks if hook.kind == "kprobe" and not hook.is_syscall]
    gone = [
        hook.target for hook in functions if not hook.ignore_not_found and not view.has_function(hook.target)
    ]
    errors = [problem.text for problem in plan.problems if problem.is_error]
    assert len(errors) == len(gone), errors
    assert all(any(target in text for text in errors) for target in gone)


@each
def test_a_policy_has_a_case_that_fires_and_one_that_does_not(name: str) -> None:
    mine = [case.content for case in read_cases() if case.file == name]
    assert any(case.get("EXPECT") for case in mine)
    assert any(not case.get("EXPECT") for case in mine)


def test_every_enforcing_policy_has_a_case_in_enforce_mode() -> None:
    wanted = {name for name in policies() if name.startswith(ENFORCING)}
    assert {case.file for case in read_cases() if case.is_enforced} == wanted


def test_cases_are_those_of_policies() -> None:
    assert {case.file for case in read_cases()} == {file.stem for file in library_files()}


def test_the_page_shows_the_library() -> None:
    assert table() in DOCUMENT.read_text(), "run python -m tests.tracingpolicies.library"


def test_a_wrong_case_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("NAME: x\nRAN: y\n")
    with pytest.raises(ValueError, match=r"x\.yaml"):
        list(read_cases(tmp_path))


def test_patterns_leave_half_of_each_function_s_room_to_policies_of_others() -> None:
    patterns: dict[tuple[str, int], list[list[Pattern]]] = defaultdict(list)
    for hook in (hook for policy in policies().values() for hook in policy.hooks):
        for each in (one for selector in hook.selectors for one in selector.arguments):
            kind = each.operator.removeprefix("Not")
            if kind in ("Regex", "SubString", "SubStringIgnCase"):
                argument = hook.arguments[each.argument].index
                patterns[hook.target, argument].append([Pattern(kind, text) for text in each.values])
    sizes = {place: len(build_automaton(asked).next) for place, asked in patterns.items()}
    assert sizes and max(sizes.values()) < ENTRIES_MOST / 2, sizes
