# SPDX-License-Identifier: Apache-2.0
"""Requests about policies reach the agent in its words, and its answers come back in the published ones."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from agent.api.policies import status_of
from agent.api.proto.tetragon import sensors_pb2 as pb
from tests.agent.api.support import Agent, call

HOOK = {
    "path": "spec.kprobes[2].call",
    "function": "tcp_connect",
    "attach": "fentry",
    "selectors": [{"label": "far", "position": 1, "counts": {"posted": 3, "monitored_signal": 2}}],
}
POLICY = {
    "name": "p",
    "namespace": "",
    "domain": "k8s",
    "state": "partially_enabled",
    "mode": "monitor",
    "error": "",
    "slot": 4,
    "memory_bytes": 99,
    "warnings": ["p.yaml:3: known"],
    "hooks": [HOOK],
}


def refused(channel: grpc.Channel, method: str, request: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, f"FineGuidanceSensors/{method}", request)
    return caught.value.code(), caught.value.details()


def test_a_policy_is_told_in_the_published_words() -> None:
    status = status_of(POLICY)
    assert (status.name, status.domain, status.id, status.kernel_memory_bytes) == ("p", "k8s", 5, 99)
    assert status.state == pb.TP_STATE_PARTIALLY_ENABLED
    assert (status.mode, status.enabled, status.info) == (pb.TP_MODE_MONITOR, True, "p.yaml:3: known")
    (hook,) = status.hook_statuses
    assert (hook.section, hook.hook_idx, hook.hook_description) == ("kprobes", 2, "tcp_connect (fentry)")


def test_selectors_tell_their_actions_and_the_policy_their_sum() -> None:
    status = status_of({**POLICY, "hooks": [HOOK, HOOK]})
    row = status.stats.selector_action_counters[0]
    assert (row.hook, row.selector_label, row.selector_index.value) == ("tcp_connect", "far", 1)
    assert (row.action_counters.post, row.action_counters.monitor_signal) == (3, 2)
    assert (status.stats.action_counters.post, status.stats.action_counters.monitor_signal) == (6, 4)


def test_the_list_is_the_agents(agent: Agent, channel: grpc.Channel) -> None:
    agent.policies = {"policies": [POLICY], "unread": []}
    answer = call(channel, "FineGuidanceSensors/ListTracingPolicies", pb.ListTracingPoliciesRequest())
    assert [policy.name for policy in answer.policies] == ["p"]


def test_configuring_passes_on_only_what_is_set(agent: Agent, channel: grpc.Channel) -> None:
    request = pb.ConfigureTracingPolicyRequest(name="p", namespace="ns", enable=False)
    call(channel, "FineGuidanceSensors/ConfigureTracingPolicy", request)
    assert agent.questions[-1] == {"request": "policy_set", "key": "ns/p", "enable": False}


def test_the_superseded_calls_do_the_same(agent: Agent, channel: grpc.Channel) -> None:
    call(channel, "FineGuidanceSensors/EnableTracingPolicy", pb.EnableTracingPolicyRequest(name="p"))
    call(channel, "FineGuidanceSensors/DisableTracingPolicy", pb.DisableTracingPolicyRequest(name="p"))
    assert [question["enable"] for question in agent.questions] == [True, False]


def test_a_policy_that_is_not_there_is_not_found(agent: Agent, channel: grpc.Channel) -> None:
    agent.policies = {"error": "no policy p", "code": "unknown"}
    found = refused(channel, "DeleteTracingPolicy", pb.DeleteTracingPolicyRequest(name="p"))
    assert found == (grpc.StatusCode.NOT_FOUND, "no policy p")


def test_a_text_with_mistakes_is_an_invalid_argument(agent: Agent, channel: grpc.Channel) -> None:
    agent.policies = {"error": "<api>:1: kind", "code": "invalid", "hint": "write TracingPolicy"}
    found = refused(channel, "AddTracingPolicy", pb.AddTracingPolicyRequest(yaml="kind: Pod"))
    assert found == (grpc.StatusCode.INVALID_ARGUMENT, "<api>:1: kind\nhint: write TracingPolicy")


def test_policies_are_listed_by_where_they_come_from(agent: Agent, channel: grpc.Channel) -> None:
    other = {**POLICY, "name": "q", "domain": "grpc"}
    agent.policies = {"policies": [POLICY, other, {**other, "name": "r"}], "unread": []}
    domains = call(channel, "FineGuidanceSensors/ListDomains", pb.ListDomainsRequest()).domains
    assert list(domains) == ["grpc", "k8s"]
    request = pb.ListTracingPoliciesRequest(domain="k8s")
    answer = call(channel, "FineGuidanceSensors/ListTracingPolicies", request)
    assert [policy.name for policy in answer.policies] == ["p"]


def test_the_agent_hears_which_domain_is_meant(agent: Agent, channel: grpc.Channel) -> None:
    request = pb.DeleteTracingPolicyRequest(name="p", domain="k8s")
    call(channel, "FineGuidanceSensors/DeleteTracingPolicy", request)
    assert agent.questions[-1] == {"request": "policy_delete", "key": "p", "domain": "k8s"}


def test_nobody_adds_to_the_domain_of_others(agent: Agent, channel: grpc.Channel) -> None:
    code, told = refused(channel, "AddTracingPolicy", pb.AddTracingPolicyRequest(yaml="x", domain="k8s"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT and "'k8s'" in told
    call(channel, "FineGuidanceSensors/AddTracingPolicy", pb.AddTracingPolicyRequest(yaml="x", domain="grpc"))
    assert agent.questions[-1]["request"] == "policy_add"


def test_a_mode_that_is_none_is_refused(agent: Agent, channel: grpc.Channel) -> None:
    request = pb.ConfigureTracingPolicyRequest(name="p", mode=pb.TP_MODE_UNKNOWN)
    code, _ = refused(channel, "ConfigureTracingPolicy", request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert not agent.questions
