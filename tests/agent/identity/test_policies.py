# SPDX-License-Identifier: Apache-2.0
"""Policy objects as one set."""

from typing import Any

import pytest

from agent.identity import policies
from agent.identity.policies import LONGEST, PolicySet, path_of, read_object
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
    found = PolicySet(told.append)
    found.sink("TracingPolicy").replace([thing("one")])
    assert told == []
    found.sink("TracingPolicyNamespaced").replace([thing("own", "shop")])
    assert [one["name"] for one in told[0]["policies"]["set"]] == ["one", "own"]


def test_a_change_of_the_status_alone_is_no_news() -> None:
    told: list[dict[str, Any]] = []
    found = PolicySet(told.append)
    for kind in ("TracingPolicy", "TracingPolicyNamespaced"):
        found.sink(kind).replace([thing("one")] if kind == "TracingPolicy" else [])
    changed = thing("one") | {"status": {"nodes": {"n1": {"state": "enabled"}}}}
    found.sink("TracingPolicy").change("MODIFIED", changed)
    assert len(told) == 1
    found.sink("TracingPolicy").change("DELETED", thing("one"))
    assert told[-1]["policies"]["set"] == []


def test_the_text_is_one_that_the_parser_reads() -> None:
    found = read_object("TracingPolicyNamespaced", thing("own", "shop"))
    assert found
    parsed, problems = parse_policies(found.yaml, "kubernetes")
    assert [one.key for one in parsed] == ["shop/own"] and problems == []
    assert parsed[0].hooks[0].message == "größe 🐕"


def nested(depth: int) -> Any:
    """Lists in lists."""
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (nested(900), "# its spec is nested too deep"),
        ({"kprobes": ["x" * LONGEST]}, "# it is longer than 2097152 bytes"),
    ],
)
def test_what_the_agent_would_not_read_has_a_reason_for_a_text(spec: Any, why: str) -> None:
    found = read_object("TracingPolicy", {"metadata": {"name": "one"}, "spec": spec})
    assert found and found.yaml == why


def test_deep_texts_do_not_grow() -> None:
    spec = [nested(30)] * 1000
    found = read_object("TracingPolicy", {"metadata": {"name": "one"}, "spec": spec})
    assert found and len(found.yaml) < 70_000


def test_all_policies_together_stay_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "ALL_BYTES", 1000)
    found = PolicySet(lambda message: None)
    found.sink("TracingPolicyNamespaced").replace([thing(f"p{number}", "shop") for number in range(100)])
    found.sink("TracingPolicy").replace([thing("one")])
    objects = found.objects()
    assert len(objects) == 101 and sum(len(one.yaml) for one in objects if one.yaml[0] != "#") <= 1000
    assert "kprobes" in objects[0].yaml and objects[-1].yaml.startswith("# all policies")


def test_policies_beyond_the_most_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "MOST", 2)
    found = PolicySet(lambda message: None)
    found.sink("TracingPolicy").replace([thing(f"p{number}") for number in range(5)])
    assert len(found.objects()) == 2 and "3 are left out" in found.error


def test_what_is_no_object_is_none() -> None:
    assert read_object("TracingPolicy", {"metadata": []}) is None


def test_paths_are_those_of_the_api() -> None:
    assert path_of("TracingPolicy", "", "a") == "/apis/cilium.io/v1alpha1/tracingpolicies/a"
    namespaced = "/apis/cilium.io/v1alpha1/namespaces/shop/tracingpoliciesnamespaced/a"
    assert path_of("TracingPolicyNamespaced", "shop", "a") == namespaced
