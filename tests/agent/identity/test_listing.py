# SPDX-License-Identifier: Apache-2.0
"""All objects of a kind."""

from typing import Any

import pytest

from agent.identity import rest
from agent.identity.access import Access
from agent.identity.listing import Lister
from agent.identity.rest import Api, ApiError, TooLong
from tests.kube.fake import Fake


def lister(fake: Fake, cached: bool = False) -> Lister:
    """Of nodes."""
    return Lister(Api(Access(fake.url)), "/api/v1/nodes", {}, cached=cached)


def names(objects: list[dict[str, Any]]) -> list[str]:
    """Their names."""
    return [one["metadata"]["name"] for one in objects]


def test_what_the_cache_may_answer_is_not_read_from_etcd(fake: Fake) -> None:
    found, cached = lister(fake, True), fake.requests
    assert names(found.all()[0]) == ["n1"] and cached == ["GET /api/v1/nodes?resourceVersion=0"]
    found.all("101")
    assert cached[1:] == ["GET /api/v1/nodes?resourceVersion=101"]


def test_a_cache_that_is_behind_us_is_not_waited_for(fake: Fake) -> None:
    found, fake.behind = lister(fake, True), 50
    with pytest.raises(ApiError, match="Too large resource version"):
        found.all("101")
    assert names(found.all("101")[0]) == ["n1"]
    assert fake.requests[1:] == ["GET /api/v1/nodes?limit=250"]
    fake.behind = 0
    found.all("101")
    assert "resourceVersion=101" in fake.requests[-1]


def test_a_busy_server_is_asked_for_no_more_work(fake: Fake) -> None:
    found, fake.busy = lister(fake, True), 1
    with pytest.raises(ApiError) as caught:
        found.all()
    assert caught.value.after_s == 1.0
    found.all()
    assert "resourceVersion=0" in fake.requests[-1]


@pytest.mark.parametrize("cached", [False, True])
def test_pages_of_large_objects_are_made_smaller(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    for number in range(40):
        fake.put("nodes", {"metadata": {"name": f"m{number}", "labels": {"a": "x" * 1000}}})
    monkeypatch.setattr(rest, "LONGEST_ANSWER", 20_000)
    assert len(lister(fake, cached).all()[0]) == 41


def test_who_manages_fields_takes_no_memory(fake: Fake) -> None:
    fake.put("nodes", {"metadata": {"name": "m", "managedFields": [{"manager": "kubelet"}]}})
    objects, _ = lister(fake).all()
    assert names(objects) == ["n1", "m"]
    assert not any("managedFields" in one["metadata"] for one in objects)


def test_one_object_that_is_too_large_is_told(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.put("nodes", {"metadata": {"name": "m", "labels": {"a": "x" * 10_000}}})
    monkeypatch.setattr(rest, "LONGEST_ANSWER", 5_000)
    with pytest.raises(TooLong):
        lister(fake).all()
