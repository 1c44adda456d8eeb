# SPDX-License-Identifier: Apache-2.0
"""Statuses on objects; tests/kube has them with a whole child."""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.identity.access import Access
from agent.identity.policies import read_object
from agent.identity.reports import COUNTS_S, FORBIDDEN_S, Reports, entry_of, event_of
from agent.identity.rest import Api, ApiError, Unreachable
from tests.kube.fake import Fake


class Node:
    """Reports of a node to a fake server with one policy."""

    def __init__(self) -> None:
        self.fake, self.now = Fake(), 0.0
        thing = self.fake.put("tracingpolicies", {"metadata": {"name": "one"}, "spec": {"kprobes": []}})
        found = read_object("TracingPolicy", thing)
        assert found
        self.reports = Reports(Api(Access(self.fake.url)), "n1", lambda: [found], lambda: self.now)

    def say(self, **fields: Any) -> float:
        """The agent tells the policy's state."""
        policy = {"kind": "TracingPolicy", "name": "one", "state": "enabled", "generation": 1, **fields}
        self.reports.take({"policies": [policy]})
        return self.reports.write()

    def patches(self) -> int:
        """How many were sent."""
        return sum(one.startswith("PATCH") for one in self.fake.requests)

    def status(self) -> dict[str, Any]:
        """As the object has it."""
        found: dict[str, Any] = self.fake.get("tracingpolicies", "one")["status"]
        return found


@pytest.fixture
def node() -> Iterator[Node]:
    """A node."""
    found = Node()
    yield found
    found.fake.close()


def test_counts_alone_are_written_once_a_minute(node: Node) -> None:
    node.say(counts={"posted": 1})
    node.say(counts={"posted": 2})
    assert node.patches() == 1
    node.now = COUNTS_S
    node.say(counts={"posted": 2})
    assert node.patches() == 2 and node.status()["nodes"]["n1"]["counts"] == {"posted": 2}


def test_counts_of_many_nodes_are_written_less_often(node: Node) -> None:
    for number in range(100):
        node.fake.put("nodes", {"metadata": {"name": f"n{number}"}})
    node.say(counts={"posted": 1})
    for node.now, written in ((COUNTS_S, 1), (1000.0, 2)):
        node.say(counts={"posted": int(node.now)})
        assert node.patches() == written


def test_a_change_of_state_is_written_at_once_and_leaves_nothing_behind(node: Node) -> None:
    node.say(state="load_error", error="no such call")
    node.say()
    assert "error" not in node.status()["nodes"]["n1"] and node.status()["notInForce"] == {}


def test_the_same_error_is_one_event(node: Node) -> None:
    node.say(state="load_error", error="no such call")
    node.now = COUNTS_S
    node.say(state="load_error", error="no such call", counts={"posted": 1})
    assert len(node.fake.all("events")) == 1


def test_other_nodes_keys_stay(node: Node) -> None:
    mine = node.fake.get("tracingpolicies", "one")
    node.fake.put("tracingpolicies", mine | {"status": {"nodes": {"n2": {"state": "enabled"}}}})
    node.say()
    assert set(node.status()["nodes"]) == {"n1", "n2"}


def test_a_policy_that_is_not_for_this_node_has_no_entry(node: Node) -> None:
    node.say()
    node.say(state="skipped")
    assert node.status()["nodes"] == {}


def test_a_conflict_is_tried_again(node: Node) -> None:
    node.fake.conflicts = 1
    node.say()
    node.say()
    assert node.status()["nodes"]["n1"]["state"] == "enabled"


def test_a_missing_right_is_told_and_rarely_asked_for(node: Node) -> None:
    node.fake.forbidden = {"tracingpolicies/status"}
    assert node.say() == FORBIDDEN_S
    assert "forbidden" in node.reports.error


def test_where_the_crds_have_no_status_refused_policies_are_events_all_the_same(node: Node) -> None:
    node.fake.without_status = True
    node.say(state="load_error", error="no such call")
    node.say(state="load_error", error="no such call", counts={"posted": 1})
    assert (len(node.fake.all("events")), node.patches()) == (1, 1)
    assert "have none" in node.reports.error
    node.fake.without_status, node.now = False, FORBIDDEN_S
    node.say()
    assert node.status()["nodes"]["n1"]["state"] == "enabled" and not node.reports.error


def test_an_object_that_is_gone_is_no_missing_status(node: Node) -> None:
    node.fake.delete("tracingpolicies", "one")
    node.say(state="load_error", error="no such call")
    assert not node.reports.error and not node.fake.all("events")


def test_an_entry_stays_small() -> None:
    entry = entry_of({"state": "error", "error": "x" * 5000, "hooks": [f"fentry f{n}" for n in range(99)]})
    assert len(entry["error"]) == 300 and entry["attached"][-1] == "and 91 more"


def test_a_node_that_is_gone_writes_nothing_and_all_anew_when_it_is_back(node: Node) -> None:
    node.reports._is_gone = lambda: True
    node.say()
    assert node.patches() == 0 and "no Node 'n1'" in node.reports.error
    node.reports._is_gone = lambda: False
    node.say()
    assert node.patches() == 1 and not node.reports.error


def test_an_object_that_is_refused_does_not_keep_the_others_back(monkeypatch: pytest.MonkeyPatch) -> None:
    names, sent = ["bad", "good"], list[str]()
    found = [read_object("TracingPolicy", {"metadata": {"name": name}, "spec": {}}) for name in names]
    api = Api(Access("http://127.0.0.1:9"))

    def send(method: str, path: str, *rest: Any) -> dict[str, Any]:
        if "bad" in path:
            raise ApiError(422, "HTTP 422: too large")
        sent.append(path)
        return {}

    monkeypatch.setattr(api, "send", send)
    reports = Reports(api, "n1", lambda: [one for one in found if one])
    reports.take(
        {"policies": [{"kind": "TracingPolicy", "name": name, "state": "enabled"} for name in names]}
    )
    reports.write()
    assert len(sent) == 1 and "good" in sent[0] and "too large" in reports.error


def test_an_event_that_did_not_arrive_is_sent_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fails = node.reports._api.send, ["once"]

    def send(method: str, *rest: Any) -> dict[str, Any]:
        if method == "POST" and fails:
            raise Unreachable(fails.pop())
        return real(method, *rest)

    monkeypatch.setattr(node.reports._api, "send", send)
    node.say(state="load_error", error="no such call")
    assert not node.fake.all("events")
    node.say(state="load_error", error="no such call")
    assert len(node.fake.all("events")) == 1


def test_an_event_has_a_name_that_kubernetes_takes() -> None:
    one = read_object("TracingPolicy", {"metadata": {"name": f"{'a' * 199}.b"}, "spec": {}})
    assert one and ".." not in event_of(one, "n1", "wrong")["metadata"]["name"]
