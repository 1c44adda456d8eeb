# SPDX-License-Identifier: Apache-2.0
"""Actions of selectors."""

from __future__ import annotations

import errno

import pytest

from agent.policy.model import Action
from tests.agent.policy.policies import hook, read, selector, told

LSM = "lsmhooks: [{{hook: file_open, selectors: [{{matchActions: [{{{}}}]}}]}}]"
TRACEPOINT = "tracepoints: [{{subsystem: s, event: e, selectors: [{{matchActions: [{{{}}}]}}]}}]"


def action(text: str, call: str = "sys_read", arguments: str = "") -> str:
    return hook(arguments, f"matchActions: [{text}]", call=call)


def made(text: str, **more: str) -> Action:
    (policy,), _ = read(action(text, **more))
    return policy.hooks[0].selectors[0].actions[0]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "{action: Post, rateLimit: 5m, rateLimitScope: process}",
            Action("Post", rate_ns=300 * 10**9, rate_scope="process"),
        ),
        (
            "{action: Post, rateLimit: 5, kernelStackTrace: true}",
            Action("Post", rate_ns=5 * 10**9, kernel_stack=True),
        ),
        ("{action: NoPost}", Action("NoPost")),
        ("{action: Sigkill}", Action("Sigkill")),
        ("{action: Signal, argSig: 10}", Action("Signal", signal=10)),
        ("{action: Signal, argSig: SIGSTOP}", Action("Signal", signal=19)),
        ("{action: Override, argError: -1}", Action("Override", error=-1)),
        ("{action: Override, argError: EACCES}", Action("Override", error=-errno.EACCES)),
        ("{action: Override, argError: -EACCES}", Action("Override", error=-errno.EACCES)),
        ("{action: CleanupEnforcerNotification}", Action("CleanupEnforcerNotification")),
    ],
)
def test_actions_are_read(text: str, found: Action) -> None:
    assert made(text) == found


def test_enforcers_are_notified_where_there_is_one() -> None:
    spec = action("{action: NotifyEnforcer, argError: -1, argSig: 9}")
    assert "NotifyEnforcer needs an enforcer" in told(spec)[0]
    (policy,), problems = read(spec + "enforcers: [{calls: [sys_read]}]\n")
    assert policy.hooks[0].selectors[0].actions == (Action("NotifyEnforcer", error=-1, signal=9),)
    assert problems == []


def test_zeros_of_fields_that_nobody_set_are_nothing_to_warn_of() -> None:
    unset = "argError: 0, argSock: 0, argUrl: '', rateLimit: '', rateLimitScope: '', kernelStackTrace: false"
    assert told(action(f"{{action: Signal, argSig: 9, {unset}}}")) == []
    enforcer = "enforcers: [{calls: [sys_read]}]\n"
    (policy,), problems = read(action("{action: NotifyEnforcer, argSig: 9, argError: 0}") + enforcer)
    assert (problems, policy.hooks[0].selectors[0].actions[0].signal) == ([], 9)
    assert "needs argError or argSig" in told(action("{action: NotifyEnforcer, argSig: 0}") + enforcer)[0]


def test_sockets_are_found_by_position_by_number_or_alone() -> None:
    arguments = "{index: 0, type: int}, {index: 4, type: sock}"
    for text in ("argSock: 1", "argSock: 4", ""):
        found = made(f"{{action: TrackSock{', ' * bool(text)}{text}}}", call="f", arguments=arguments)
        assert found.sock == 1


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (action("{action: SigKil}"), 'did you mean "Sigkill"?'),
        (action("{action: FollowFD}"), "FollowFD does not exist any more"),
        (action("{action: GetUrl, argUrl: 'http://x'}"), "GetUrl is not supported yet"),
        (action("{action: DnsLookup, argFqdn: x.y}"), "DnsLookup is not supported yet"),
        (action("{action: Post, imaHash: true}"), "imaHash is not supported yet"),
        (action("{action: Post, argSig: 9}"), "argSig does nothing with Post (it belongs to Signal)"),
        (action("{action: Post, rateLimit: 1d}"), "1d is no duration"),
        (action("{action: Signal}"), "Signal needs argSig"),
        (action("{action: Signal, argSig: 0}"), "Signal needs argSig"),
        (action("{action: Signal, argSig: 65}"), "allowed are 0 to 64"),
        (action("{action: Signal, argSig: SIGKLL}"), 'did you mean "SIGKILL"?'),
        (action("{action: Override}"), "Override needs argError"),
        (action("{action: Override, argError: 0}"), "argError 0 denies nothing"),
        (action("{action: Override, argError: 1}"), "argError 1 is taken as -1"),
        (action("{action: Override, argError: -4096}"), "allowed are -4095 to 4095"),
        (action("{action: Override, argError: -1}", call="vfs_read"), "vfs_read cannot be overridden"),
        (action("{action: TrackSock, argSock: 0}", call="f"), "argument 0 is no socket"),
        (action("{action: Post}, {action: NoPost}"), "NoPost contradicts Post"),
        (action("{action: Sigkill}, {action: Sigkill}"), "Sigkill is given twice"),
        (action("{action: Sigkill}").replace("kprobes", "fentries"), "hooks of fentries only observe"),
        (
            LSM.format("action: TrackSock"),
            "not possible in a lsm hook",
        ),
        (
            LSM.format("action: Post, userStackTrace: true"),
            "no stack traces",
        ),
        (
            TRACEPOINT.format("action: Override, argError: -1"),
            "use kprobes or lsmhooks",
        ),
    ],
)
def test_actions_that_do_not_work_are_told(spec: str, problem: str) -> None:
    assert any(problem in each for each in told(spec)), told(spec)


def test_a_field_that_does_nothing_is_told_and_the_policy_loads() -> None:
    """Published policies have them: Sigkill with argError."""
    plain = made("{action: Sigkill}")
    assert made("{action: Sigkill, argError: -1}") == made("{action: Sigkill, rateLimit: 1m}") == plain


def test_a_call_that_has_returned_is_not_overridden() -> None:
    more = "  return: true\n  returnArg: {index: 0, type: int}\n"
    spec = hook("", "matchReturnActions: [{action: Override, argError: -1}]", call="sys_read", more=more)
    assert "has returned cannot be overridden" in told(spec)[0]


def test_a_selector_without_actions_leaves_it_to_the_default() -> None:
    assert selector("matchPIDs: [{operator: In, values: [7]}]").actions == ()
