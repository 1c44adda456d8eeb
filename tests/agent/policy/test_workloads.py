# SPDX-License-Identifier: Apache-2.0
"""Label selectors of pods, containers, hosts and nodes."""

from __future__ import annotations

import pytest

from agent.policy.model import LabelSelector, Workload
from tests.agent.policy.policies import HEAD, hook, policy, read, selector, told

NAMESPACED = HEAD.replace("TracingPolicy", "TracingPolicyNamespaced")


def test_labels_and_expressions_are_read() -> None:
    expression = "{key: tier, operator: NotIn, values: [db]}"
    text = f"podSelector: {{matchLabels: {{app: web}}, matchExpressions: [{expression}]}}\n"
    workload = policy(hook("") + text).workload
    assert workload == Workload(LabelSelector((("app", "web"),), (("tier", "NotIn", ("db",)),)))


def test_an_empty_selector_selects_all_and_null_says_nothing() -> None:
    assert policy(hook("") + "podSelector: {}\nhostSelector: {}").workload == Workload(
        LabelSelector(), host=True
    )
    assert policy(hook("") + "podSelector: null\nhostSelector: ~").workload is None


def test_containers_have_a_name_and_a_repository() -> None:
    text = "containerSelector: {matchLabels: {name: main, repo: docker.io/library/nginx}}"
    workload = policy(hook("") + text).workload
    assert workload is not None and workload.container is not None
    assert dict(workload.container.match_labels) == {"name": "main", "repo": "docker.io/library/nginx"}


def test_a_namespaced_policy_belongs_to_the_pods_of_its_namespace() -> None:
    policies, problems = read(hook(""), NAMESPACED)
    assert (problems, policies[0].key) == ([], "default/t")
    assert policies[0].workload == Workload(namespace="default")


def test_a_selector_has_workloads_of_its_own() -> None:
    found = selector("matchWorkloads: {podSelector: {matchLabels: {app: web}}}")
    assert found.workload == Workload(LabelSelector((("app", "web"),)))
    assert selector("matchWorkloads: [{hostSelector: {}}]").workload == Workload(host=True)


def test_nodes_are_selected_by_label() -> None:
    assert policy(hook("") + "nodeSelector: {matchLabels: {zone: a}}").node == LabelSelector((("zone", "a"),))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hostSelector: {matchLabels: {a: b}}", "write hostSelector: {}"),
        ("containerSelector: {matchLabels: {image: x}}", "image is no field of a container"),
        ("podSelector: {matchLabels: {a: b c}}", "is no label value"),
        ("podSelector: {matchLabels: {'-a': b}}", "is no label key"),
        ("podSelector: {matchExpressions: [{key: a, operator: In}]}", "In needs values"),
        ("podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}", "takes no values"),
        ("podSelector: {matchExpressions: [{key: a, operator: in}]}", 'did you mean "In"?'),
    ],
)
def test_selectors_that_do_not_work_are_told(text: str, problem: str) -> None:
    assert any(problem in each for each in told(hook("") + text))


def test_a_namespaced_policy_has_no_hosts() -> None:
    assert "never applies to hosts" in told(hook("") + "hostSelector: {}", NAMESPACED)[0]
