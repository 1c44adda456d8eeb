# SPDX-License-Identifier: Apache-2.0
"""Entries of removed nodes; tests/kube has them with a whole child."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agent.identity.access import Access
from agent.identity.neighbours import AT_ONCE, Entry, Key, KindOfNeighbours, Neighbours, entry_of, following
from agent.identity.rest import Api
from tests.kube.fake import Fake

STAMP = "2026-01-01T00:00:00Z"


class Ring:
    """A fake cluster with one policy on whose status nodes have entries."""

    def __init__(self, *nodes: str) -> None:
        self.fake = Fake()
        entries = {node: {"state": "enabled", "updated": STAMP} for node in nodes}
        status = {"nodes": entries, "notInForce": dict.fromkeys(nodes, "no such call")}
        self.fake.put("tracingpolicies", {"metadata": {"name": "one"}, "spec": {}, "status": status})

    def looked_after(self, by: str, *living: str) -> set[str]:
        """Whose entries stand there after one node has looked."""
        for node in living:
            self.fake.put("nodes", {"metadata": {"name": node}})
        self.neighbours(by).look()
        status = self.fake.get("tracingpolicies", "one")["status"]
        assert status["nodes"].keys() == status["notInForce"].keys()
        return set(status["nodes"])

    def neighbours(self, by: str) -> Neighbours:
        """Of a node that has read the objects."""
        found = Neighbours(Api(Access(self.fake.url)), by, threading.Event())
        KindOfNeighbours(found, "TracingPolicy").replace(self.fake.all("tracingpolicies"))
        return found


@pytest.fixture
def ring() -> Iterator[Ring]:
    """Four nodes."""
    found = Ring("n1", "n2", "n3", "n4")
    yield found
    found.fake.close()


def test_those_that_follow_and_are_gone_are_taken_away(ring: Ring) -> None:
    assert ring.looked_after("n1", "n1", "n4") == {"n1", "n4"}


def test_what_stands_behind_a_living_node_is_left_to_that_one(ring: Ring) -> None:
    assert ring.looked_after("n1", "n1", "n2") == {"n1", "n2", "n3", "n4"}
    assert ring.looked_after("n2", "n1", "n2") == {"n1", "n2"}


def test_the_last_one_looks_after_the_first(ring: Ring) -> None:
    assert ring.looked_after("n4", "n4") == {"n4"}


def test_a_node_without_an_entry_looks_after_those_of_others(ring: Ring) -> None:
    assert ring.looked_after("n0", "n0", "n2") == {"n2", "n3", "n4"}


def test_what_a_node_writes_meanwhile_stays(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    ring.fake.put("nodes", {"metadata": {"name": "n1"}})
    found = ring.neighbours("n1")
    read, seconds = found._anew, iter(range(1, 9))

    def read_and_write(key: Key) -> list[Entry]:
        entries = read(key)
        thing = ring.fake.get("tracingpolicies", "one")
        thing["status"]["nodes"]["n2"]["updated"] = f"2026-01-01T00:00:0{next(seconds)}Z"
        ring.fake.put("tracingpolicies", thing)
        return entries

    monkeypatch.setattr(found, "_anew", read_and_write)
    found.look()
    assert "n2" in ring.fake.get("tracingpolicies", "one")["status"]["nodes"] and not found.error


def test_entries_that_no_watch_told_of_are_found(ring: Ring) -> None:
    ring.fake.put("nodes", {"metadata": {"name": "n1"}})
    found = ring.neighbours("n1")
    for name in ("zero", "one"):  # as they were when they were made
        found.change("TracingPolicy", "MODIFIED", {"metadata": {"name": name}})
    ring.fake.put(
        "tracingpolicies", {**ring.fake.get("tracingpolicies", "one"), "metadata": {"name": "zero"}}
    )
    found.look()
    assert [set(one["status"]["nodes"]) for one in ring.fake.all("tracingpolicies")] == [{"n1"}, {"n1"}]


def test_one_object_is_read_in_each_turn(ring: Ring) -> None:
    ring.fake.put("tracingpolicies", {"metadata": {"name": "two"}, "spec": {}})
    for node in ("n1", "n2"):
        ring.fake.put("nodes", {"metadata": {"name": node}})
    found = ring.neighbours("n1")
    ring.fake.requests.clear()
    for _ in range(3):
        found.look()
    read = [one.rpartition("/")[2] for one in ring.fake.requests if "tracingpolicies" in one]
    assert read == ["one", "two", "one"]


def test_who_is_no_node_of_the_cluster_judges_nobody(ring: Ring) -> None:
    assert ring.looked_after("elsewhere", "n1") == {"n1", "n2", "n3", "n4"}


def test_a_missing_right_is_told_and_takes_nothing_away(ring: Ring) -> None:
    ring.fake.forbidden = {"nodes"}
    found = ring.neighbours("n1")
    found.look()
    assert "nodes is forbidden" in found.error
    assert len(ring.fake.get("tracingpolicies", "one")["status"]["nodes"]) == 4


def test_without_entries_of_others_no_node_is_asked_for(ring: Ring) -> None:
    alone = {"metadata": {"name": "one"}, "status": {"nodes": {"n1": {}}, "notInForce": {}}}
    ring.fake.put("tracingpolicies", alone)
    found = ring.neighbours("n1")
    ring.fake.requests.clear()
    found.look()
    assert not any("/nodes/" in one for one in ring.fake.requests)


def test_an_object_that_is_gone_has_no_entries(ring: Ring) -> None:
    found = ring.neighbours("n1")
    ring.fake.delete("tracingpolicies", "one")
    found.look()
    assert not found.error


def test_the_ring_goes_round_and_is_bounded() -> None:
    assert following(["a", "b", "c"], "b", 9) == ["c", "a"]
    assert len(following([f"n{number}" for number in range(99)], "m", AT_ONCE)) == AT_ONCE


@pytest.mark.parametrize(
    "status", [{"nodes": {"n": 5}}, {"nodes": {"n": {"state": "x"}}}, {"notInForce": {"n": 1}}]
)
def test_an_entry_that_somebody_else_wrote_is_known_by_all_of_it(status: dict[str, Any]) -> None:
    [(pointer, value)] = entry_of(status, "n").seen
    assert status[pointer.split("/")[0]]["n"] == value
