# SPDX-License-Identifier: Apache-2.0
"""Which containers a policy means."""

from __future__ import annotations

import pytest

from agent.enrich.home import Home
from agent.enrich.registry import Registry, Seen
from agent.kernel.classifier import ANY_CONTAINER
from agent.policy.classes import ClassTable, ProcessConditions, is_host
from agent.policy.layout import unpack_set
from agent.policy.members import NAMESPACE_LABEL, Members, repository_of
from agent.policy.members import Seen as SeenBySelectors
from agent.policy.model import LabelSelector, Where, Workload
from tests.agent.enrich.homes import ID, OTHER, UID, answer, registry

HERE = Where("test", 1, "spec")
ALL = LabelSelector((), ())
WEB = LabelSelector((("app", "web"),), ())
NOT_DB = LabelSelector((), (("app", "NotIn", ("db",)),))
SHOP = LabelSelector(((NAMESPACE_LABEL, "shop"),), ())
NGINX = LabelSelector((("name", "nginx"),), ())
REPO = LabelSelector((("repo", "docker.io/library/nginx"),), ())
PODS = [Workload(pod=ALL), Workload(pod=WEB), Workload(pod=NOT_DB), Workload(pod=SHOP)]
CONTAINERS = [Workload(container=NGINX), Workload(container=REPO), Workload(pod=WEB, container=NGINX)]
SPACES = [Workload(namespace="shop"), Workload(pod=WEB, namespace="shop")]


def known() -> Home:
    made = registry()
    made.answer(answer())
    return made.by_id[ID]


def pending(path: str = "") -> Home:
    made = Registry()
    made.seen(Seen(7, 7, path or f"/kubepods/pod{UID}/{ID}"))
    return made.by_id[ID]


def fits(workload: Workload, home: Home) -> bool:
    return SeenBySelectors(home).fits(workload)


@pytest.mark.parametrize("workload", [*PODS, *CONTAINERS, *SPACES, Workload(pod=WEB, host=True)])
def test_a_known_pod_is_meant_by_what_fits_it(workload: Workload) -> None:
    assert fits(workload, known())


@pytest.mark.parametrize(
    "workload",
    [
        Workload(pod=LabelSelector((("app", "db"),), ())),
        Workload(pod=WEB, container=LabelSelector((("name", "sidecar"),), ())),
        Workload(namespace="kube-system"),
        Workload(pod=WEB, namespace="kube-system"),
        Workload(host=True),
    ],
)
def test_it_is_not_meant_by_anything_else(workload: Workload) -> None:
    assert not fits(workload, known())


@pytest.mark.parametrize("workload", [*PODS[1:], *CONTAINERS, *SPACES, Workload(host=True)])
def test_what_is_not_known_yet_fits_nothing_not_even_a_negation(workload: Workload) -> None:
    assert not fits(workload, pending())


def test_that_it_is_a_pod_is_known_from_its_cgroup() -> None:
    assert fits(Workload(pod=ALL), pending())
    assert not fits(Workload(pod=ALL), pending(f"/docker/{ID}"))


def test_labels_that_were_told_of_before_the_container_count_at_once() -> None:
    made = Registry()
    made.pod({"uid": UID, "namespace": "shop", "name": "web-1", "labels": {"app": "web"}})
    made.seen(Seen(7, 7, f"/kubepods/pod{UID}/{ID}"))
    assert all(fits(workload, made.by_id[ID]) for workload in [*PODS, *SPACES])


def test_a_container_outside_of_kubernetes_is_meant_by_container_selectors_alone() -> None:
    made = Registry()
    made.seen(Seen(7, 7, f"/docker/{ID}"))
    made.answer(answer(pod=None))
    found = [fits(workload, made.by_id[ID]) for workload in [*PODS, *CONTAINERS]]
    assert found == [False] * 4 + [True, True, False]


@pytest.mark.parametrize(
    ("workload", "host"),
    [(Workload(host=True), True), (Workload(pod=WEB, host=True), True), (Workload(pod=WEB), False)],
)
def test_hosts_are_meant_where_they_are_named(workload: Workload, host: bool) -> None:
    assert is_host(workload) is host


def test_entries_hold_the_classes_of_every_container_and_of_those_that_are_not_known() -> None:
    table, made = ClassTable(), registry()
    made.answer(answer())
    made.seen(Seen(9, 9, f"/docker/{OTHER}"))
    web = table.number_of(ProcessConditions(workloads=(Workload(pod=WEB),)), "p", HERE, "p")
    host = table.number_of(ProcessConditions(workloads=(Workload(host=True),)), "p", HERE, "p")
    entries = Members(made.by_id.values).entries(table)
    held = {
        key: [unpack_set(value) >> number & 1 for number in (web, host)] for key, value in entries.items()
    }
    assert held == {7: [1, 0], 9: [0, 0], ANY_CONTAINER: [0, 0]}


def test_nothing_is_kept_while_no_policy_asks() -> None:
    assert Members(registry().by_id.values).entries(ClassTable()) == {}


def test_a_container_that_is_gone_is_taken_away() -> None:
    table, home = ClassTable(), known()
    table.number_of(ProcessConditions(workloads=(Workload(pod=WEB),)), "p", HERE, "p")
    members = Members(tuple)
    assert list(members.changed(table, [home])) == [7]
    home.gone_s = 1.0
    assert members.changed(table, [home]) == {7: None}


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("nginx", "nginx"),
        ("docker.io/library/nginx:1.27", "docker.io/library/nginx"),
        ("localhost:5000/nginx", "localhost:5000/nginx"),
        ("localhost:5000/a/nginx:1@sha256:ab", "localhost:5000/a/nginx"),
        ("", ""),
    ],
)
def test_a_repository_is_the_image_without_tag_and_digest(image: str, repository: str) -> None:
    assert repository_of(image) == repository


def test_what_was_found_out_is_found_out_anew_when_a_container_changes() -> None:
    table, made = ClassTable(), registry()
    web = table.number_of(ProcessConditions(workloads=(Workload(pod=WEB),)), "p", HERE, "p")
    members = Members(made.by_id.values)
    assert not unpack_set(members.entries(table)[7]) >> web & 1
    made.answer(answer())
    changed = members.changed(table, [made.by_id[ID]])[7]
    assert changed is not None and unpack_set(changed) >> web & 1
    assert members.entries(table)[7] == changed


def test_a_class_with_two_workloads_needs_both() -> None:
    table, made = ClassTable(), registry()
    made.answer(answer())
    both = (Workload(pod=WEB), Workload(pod=LabelSelector((("app", "db"),), ())))
    number = table.number_of(ProcessConditions(workloads=both), "p", HERE, "p")
    assert not unpack_set(Members(made.by_id.values).entries(table)[7]) >> number & 1
