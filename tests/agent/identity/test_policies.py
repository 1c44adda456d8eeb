# SPDX-License-Identifier: Apache-2.0
"""Policy objects as one set."""

from typing import Any

from agent.identity.policies import PolicySet, path_of, read_object
from agent.policy.parse import parse_policies

SPEC = {"kprobes": [{"call": "sys_openat", "syscall": True, "message": "größe 🐕"}]}


def thing(name: str, namespace: str = "", generation: int = 1) -> dict[str, Any]:
    """An object as the API has it."""
    metadata = {"name": name, "uid": f"u-{name}", "generation": generation, "resourceVersion": "7"}
    return {
        "metadata": metadata | ({"namespace": namespace} if namespace else {}),
        "spec": SPEC,
        "status": {"nodes": {}},
    }


def test_nothing_is_told_before_both_kinds_were_listed() -> None:
    told: list[dict[str, Any]] = []
    policies = PolicySet(told.append)
    policies.sink("TracingPolicy").replace([thing("one")])
    assert told == []
    policies.sink("TracingPolicyNamespaced").replace([thing("own", "shop")])
    assert [one["name"] for one in told[0]["policies"]["set"]] == ["one", "own"]


def test_a_change_of_the_status_alone_is_no_news() -> None:
    told: list[dict[str, Any]] = []
    policies = PolicySet(told.append)
    for kind in ("TracingPolicy", "TracingPolicyNamespaced"):
        policies.sink(kind).replace([thing("one")] if kind == "TracingPolicy" else [])
    changed = thing("one") | {"status": {"nodes": {"n1": {"state": "enabled"}}}}
    policies.sink("TracingPolicy").change("MODIFIED", changed)
    assert len(told) == 1
    policies.sink("TracingPolicy").change("DELETED", thing("one"))
    assert told[-1]["policies"]["set"] == []


def test_the_text_is_one_that_the_parser_reads() -> None:
    found = read_object("TracingPolicyNamespaced", thing("own", "shop"))
    assert found
    policies, problems = parse_policies(found.yaml, "kubernetes")
    assert [one.key for one in policies] == ["shop/own"] and problems == []
    assert policies[0].hooks[0].message == "größe 🐕"


def test_what_is_no_object_is_none() -> None:
    assert read_object("TracingPolicy", {"metadata": []}) is None


def test_paths_are_those_of_the_api() -> None:
    assert path_of("TracingPolicy", "", "a") == "/apis/cilium.io/v1alpha1/tracingpolicies/a"
    namespaced = "/apis/cilium.io/v1alpha1/namespaces/shop/tracingpoliciesnamespaced/a"
    assert path_of("TracingPolicyNamespaced", "shop", "a") == namespaced
