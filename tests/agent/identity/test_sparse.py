# SPDX-License-Identifier: Apache-2.0
"""Objects of which a watch tells metadata only."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from agent.identity.access import Access
from agent.identity.policies import path_of
from agent.identity.rest import Api, ApiError
from agent.identity.sparse import Sparse
from tests.kube.fake import Fake

KIND = "TracingPolicyNamespaced"


class Seen:
    """A sink that keeps what it gets, of a server with one policy."""

    def __init__(self) -> None:
        self.fake = Fake()
        self.events: list[tuple[str, Any]] = []
        self.sparse = Sparse(Api(Access(self.fake.url)), partial(path_of, KIND), self)
        self.put("f")
        self.sparse.replace(self.fake.all("tracingpoliciesnamespaced"))
        self.fake.requests.clear()

    def put(self, call: str, status: str = "", **about: Any) -> dict[str, Any]:
        """Writes the policy; returns what a watch tells of it."""
        thing = {"metadata": {"name": "one", "namespace": "shop", **about}, "spec": call, "status": status}
        return {"metadata": self.fake.put("tracingpoliciesnamespaced", thing)["metadata"]}

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All."""
        self.events += [("LISTED", one["spec"]) for one in objects]

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One."""
        self.events.append((kind, thing.get("spec")))


@pytest.fixture
def seen() -> Iterator[Seen]:
    """A sink."""
    found = Seen()
    yield found
    found.fake.close()


def test_a_change_of_the_status_costs_nothing(seen: Seen) -> None:
    seen.sparse.change("MODIFIED", seen.put("f", "enabled"))
    assert seen.events == [("LISTED", "f")] and not seen.fake.requests


def test_a_changed_object_is_read_once(seen: Seen) -> None:
    told = seen.put("g")
    seen.sparse.change("MODIFIED", told)
    seen.sparse.change("MODIFIED", seen.put("g", "enabled"))
    assert seen.events[1:] == [("MODIFIED", "g")] and len(seen.fake.requests) == 1


def test_changed_labels_are_a_change(seen: Seen) -> None:
    seen.sparse.change("MODIFIED", seen.put("f", labels={"team": "a"}))
    assert seen.events[1:] == [("MODIFIED", "f")]


def test_one_that_is_deleted_and_made_again_is_read(seen: Seen) -> None:
    told = seen.put("f")
    seen.fake.delete("tracingpoliciesnamespaced", "one", "shop")
    seen.sparse.change("DELETED", told)
    seen.sparse.change("ADDED", seen.put("f"))
    assert seen.events[1:] == [("DELETED", None), ("ADDED", "f")]


def test_one_that_is_gone_already_is_left_to_the_next_event(seen: Seen) -> None:
    told = seen.put("g")
    seen.fake.delete("tracingpoliciesnamespaced", "one", "shop")
    seen.sparse.change("MODIFIED", told)
    assert seen.events == [("LISTED", "f")]


def test_one_that_cannot_be_read_is_asked_for_again(seen: Seen) -> None:
    told, seen.fake.busy = seen.put("g"), 1
    with pytest.raises(ApiError):
        seen.sparse.change("MODIFIED", told)
    seen.sparse.change("MODIFIED", told)
    assert seen.events[1:] == [("MODIFIED", "g")]
