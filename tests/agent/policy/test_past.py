# SPDX-License-Identifier: Apache-2.0
from typing import Any

from agent.policy.past import HookCount, Judge, Outcome
from agent.policy.recorded import Called, Missing
from tests.agent.policy.past import READS, policy, where

SHELL: dict[str, Any] = {"pid": 7, "binary": "/bin/sh", "parent": None, "whole": True}


def judged(call: Called, *selectors: dict[str, Any], **person: Any) -> Outcome:
    one = policy("new", READS, *selectors)
    return Judge(one.hooks[0], one).judge(call, SHELL | person)


def test_the_model_answers_what_is_recorded() -> None:
    call = Called(("/etc/shadow", 1), 0)
    assert judged(call, where("Prefix", "/tmp"), where("Mask", "0x1", at=1)) == Outcome(1)
    assert judged(call, where("NotEqual", "/etc/shadow")).selector is None


def test_what_is_not_recorded_leaves_a_selector_open_and_says_why() -> None:
    outcome = judged(Called(("/x", Missing("gone")), 0), where("Mask", "1", at=1), where("Equal", "/x"))
    assert outcome == Outcome(1, ((0, "matchArgs: gone"),))


def test_a_filter_that_surely_does_not_hold_decides_alone() -> None:
    both = where("Mask", "1", at=1)
    both["matchArgs"].append(where("Equal", "/y")["matchArgs"][0])
    assert judged(Called(("/x", Missing("gone")), 0), both) == Outcome(None)


def test_namespaces_are_those_at_exec_and_this_is_said() -> None:
    selector = {"matchNamespaces": [{"namespace": "Pid", "operator": "NotIn", "values": ["host_ns"]}]}
    inums = {"namespaces": {"pid": 5}, "host_namespaces": {"pid": 4}}
    outcome = judged(Called(("/x", 1), 0), selector, **inums)
    assert outcome.selector == 0 and "as at the exec" in str(outcome.assumed)
    assert "not in the log" in str(judged(Called(("/x", 1), 0), selector).unsure)


def test_changes_after_the_exec_are_never_known() -> None:
    selector = {
        "matchCapabilityChanges": [{"type": "Effective", "operator": "In", "values": ["CAP_SYS_ADMIN"]}]
    }
    assert "not recorded" in str(judged(Called(("/x", 1), 0), selector).unsure)


def test_followed_ancestors_have_to_be_known_all() -> None:
    children = [{"operator": "In", "values": ["/sbin/init"], "followChildren": True}]
    outcome = judged(Called(("/x", 1), 0), {"matchBinaries": children}, whole=False)
    assert "ancestors" in str(outcome.unsure)


def test_a_count_says_who_did_what_and_what_would_have_been_done() -> None:
    kill = where("Equal", "/x") | {"matchActions": [{"action": "Sigkill"}]}
    one = policy("new", READS, kill)
    count = HookCount(Judge(one.hooks[0], one))
    for path in ("/x", "/y"):
        count.add(count.judge.judge(Called((path, 1), 0), SHELL), "reads", SHELL, "t")
    assert (count.calls, count.matched, count.selectors[0].actions) == (2, 1, {"Signal SIGKILL": 1})
    assert count.selectors[0].binaries == {"/bin/sh": 1}
