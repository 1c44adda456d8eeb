# SPDX-License-Identifier: Apache-2.0
"""Calls whose end is looked at: in one part where nothing is lost, else in two."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.policy.model import Argument, Hook, NamespaceFilter, Selector
from agent.policy.values import Source, ValueType
from tests.agent.policy.planning import acting, keys, kprobe, plan, without

pytestmark = pytest.mark.kernel

RESULT = Argument(0, "int")
PERMISSION = kprobe("security_file_permission", "file", "int", returns=True, return_argument=RESULT)
BOTH = [("fentry", "security_file_permission", "entry"), ("fexit", "security_file_permission", "return")]


def test_an_lsm_wrapper_is_seen_whole_at_its_end() -> None:
    assert keys(plan(PERMISSION)) == [("fexit", "security_file_permission", "whole")]


def test_the_result_is_behind_the_parameters() -> None:
    assert plan(PERMISSION).uses[0].values[-1][:3] == (Source.RETURN, ValueType.INTEGER, 2)


def test_a_kretprobe_has_no_arguments_and_needs_its_entry() -> None:
    found = keys(plan(PERMISSION, known=without("fentry")))
    assert found == [
        ("kprobe", "security_file_permission", "entry"),
        ("kretprobe", "security_file_permission", "return"),
    ]


def test_an_action_is_taken_at_the_entry() -> None:
    assert keys(plan(acting(PERMISSION, "Sigkill"))) == BOTH


def test_namespaces_are_judged_at_the_entry() -> None:
    selector = Selector(namespaces=(NamespaceFilter(("pid",), True, ("host_ns",)),))
    assert keys(plan(replace(PERMISSION, selectors=(selector,)))) == BOTH


def test_objects_of_other_functions_are_read_at_the_entry() -> None:
    hook = kprobe("filp_close", "file", returns=True, return_argument=RESULT)
    assert [use.part for use in plan(hook).uses] == ["entry", "return"]


def test_both_parts_have_the_same_places_and_the_entry_no_result() -> None:
    entry, end = plan(acting(PERMISSION, "Sigkill")).uses
    assert entry.values[:2] == end.values[:2]
    assert (entry.values[2].source, end.values[2].source) == (Source.NONE, Source.RETURN)


def test_a_use_tells_which_hook_of_the_policy_it_serves() -> None:
    other: Hook = kprobe("tcp_connect", "sock")
    assert [use.position for use in plan(PERMISSION, other).uses] == [0, 1]
