# SPDX-License-Identifier: Apache-2.0
"""What the watches have brought."""

from typing import Any

from agent.identity import cluster
from agent.identity.cluster import Labels, Pods
from agent.identity.pods import Pod


def thing(uid: str, name: str, *ids: str) -> dict[str, Any]:
    """A pod with containers."""
    status = [{"name": f"c{n}", "containerID": f"containerd://{id_}"} for n, id_ in enumerate(ids)]
    return {
        "metadata": {"uid": uid, "name": name, "namespace": "shop"},
        "status": {"containerStatuses": status},
    }


class Told:
    """A table and what it told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, bool]] = []
        self.now = 0.0
        self.pods = Pods(self._take, clock=lambda: self.now)

    def _take(self, pod: Pod, is_deleted: bool) -> None:
        self.changes.append((pod.name, is_deleted))


def test_a_list_says_what_is_gone_as_well() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x"), thing("u2", "b", "y")])
    told.pods.replace([thing("u2", "b", "y")])
    assert told.changes == [("a", False), ("b", False), ("a", True)]


def test_a_deleted_pod_is_known_for_ten_minutes() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x")])
    told.pods.change("DELETED", thing("u1", "a", "x"))
    assert told.pods.find("x", "u1")
    told.now = cluster.KEPT_S + 1
    told.pods.change("DELETED", thing("u2", "b"))
    assert told.pods.find("x", "u1") is None


def test_two_containers_of_one_name_are_told_apart_by_their_ids() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x"), thing("u2", "a", "y")])
    first, second = told.pods.find("x", ""), told.pods.find("y", "")
    assert first and second and (first.pod.uid, second.pod.uid) == ("u1", "u2")


def test_a_pod_that_claims_the_uid_of_another_changes_nothing() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x")])
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        told.pods.change(kind, thing("u1", "forged", "y"))
    told.pods.replace([thing("u1", "a", "x"), thing("u1", "forged", "y")])
    assert told.changes == [("a", False)] and told.pods.find("y", "u1") == (told.pods.current()[0], None)


def test_a_uid_that_a_list_has_for_another_pod_is_that_one_s() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x")])
    told.pods.replace([thing("u1", "b", "y")])
    assert [pod.name for pod in told.pods.current()] == ["b"]


def test_an_id_of_another_pod_than_the_cgroup_s_is_nobody_s() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x")])
    assert told.pods.find("x", "u2") is None


def test_a_container_that_was_replaced_stays_known_and_they_are_bounded() -> None:
    told = Told()
    for number in range(100):
        told.pods.change("MODIFIED", thing("u1", "a", f"x{number}"))
    assert told.pods.find("x98", "") and told.pods.find("x0", "") is None
    assert len(told.pods._containers) <= cluster.MOST_RUNS + 1


def test_an_object_that_did_not_change_is_not_told() -> None:
    told = Told()
    told.pods.replace([thing("u1", "a", "x")])
    told.pods.replace([thing("u1", "a", "x")])
    assert told.changes == [("a", False)]


def test_only_labels_that_changed_are_told() -> None:
    names: list[str] = []
    labels = Labels(names.append)
    labels.replace([{"metadata": {"name": "shop", "labels": {"a": "1"}}}])
    labels.change("MODIFIED", {"metadata": {"name": "shop", "labels": {"a": "1"}}})
    labels.change("MODIFIED", {"metadata": {"name": "shop", "labels": {"a": "2"}}})
    assert names == ["shop", "shop"] and labels.of("shop") == {"a": "2"}


def test_what_is_lacking_is_known_once_all_were_told() -> None:
    labels = Labels(lambda name: None)
    assert not labels.lacks("n1")
    labels.replace([])
    assert labels.lacks("n1")
    labels.change("ADDED", {"metadata": {"name": "n1"}})
    assert not labels.lacks("n1")
