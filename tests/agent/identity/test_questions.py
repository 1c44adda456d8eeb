# SPDX-License-Identifier: Apache-2.0
"""Answers made of what Kubernetes and a runtime say."""

from agent.identity.cluster import Match
from agent.identity.pods import read_pod
from agent.identity.questions import Found, Question, answer, is_whole, read_question

POD = read_pod({"metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}})
BY_CRI = Found(
    "cri",
    {"id": "x", "name": "main", "image": {"id": "sha256:1"}},
    {"namespace": "shop", "name": "web", "uid": "u-1"},
)


def test_kubernetes_counts_and_a_runtime_fills_in() -> None:
    told = answer(Question("x", pod_uid="u-1"), Match(POD, {"name": "kube"}), BY_CRI, {"stage": "test"})
    assert told and told["source"] == "kubernetes" and told["namespace_labels"] == {"stage": "test"}
    assert told["pod"]["container"] == {"id": "x", "name": "kube", "image": {"id": "sha256:1"}}


def test_a_runtime_alone_names_the_pod() -> None:
    told = answer(Question("x", pod_uid="u-1"), None, BY_CRI, {})
    assert told and told["source"] == "cri" and told["pod"]["name"] == "web"


def test_a_runtime_that_names_another_pod_than_the_cgroup_is_not_believed() -> None:
    assert answer(Question("x", pod_uid="u-2"), None, BY_CRI, {}) is None


def test_a_pod_without_the_container_s_name_is_not_whole() -> None:
    told = answer(Question("x", pod_uid="u-1"), Match(POD, None), None, {})
    assert told and told["pod"]["name"] == "web" and not is_whole(told)
    assert is_whole(answer(Question("x"), None, BY_CRI, {})) and not is_whole(None)
    by_nri = Found("nri", {"id": "x", "name": "main", "image": {"name": "web:1"}}, {})
    assert not is_whole(answer(Question("x"), None, by_nri, {}))  # the image's digest is missing


def test_a_question_has_an_id_and_a_uid_with_dashes() -> None:
    assert read_question({"pid": 1}) is None
    found = read_question({"id": "x", "pod_uid": "a_b", "pid": "7"})
    assert found and (found.pod_uid, found.pid) == ("a-b", 0)
