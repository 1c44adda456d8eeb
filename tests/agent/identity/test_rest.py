# SPDX-License-Identifier: Apache-2.0
"""Requests to an API server."""

from collections.abc import Iterator

import pytest
import urllib3

from agent.identity.access import Access
from agent.identity.rest import Api, ApiError, Pace, Quiet, Unreachable, _after_s, explain
from tests.kube.fake import Fake


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A server."""
    server = Fake()
    yield server
    server.close()


def test_an_object_is_read(fake: Fake) -> None:
    fake.put("nodes", {"metadata": {"name": "n1"}})
    assert Api(Access(fake.url)).get("/api/v1/nodes/n1", {})["metadata"]["name"] == "n1"


def test_an_error_says_what_the_server_said(fake: Fake) -> None:
    with pytest.raises(ApiError, match="HTTP 404: not found") as caught:
        Api(Access(fake.url)).get("/api/v1/nodes/n2", {})
    assert caught.value.status == 404


def test_a_server_that_hangs_is_given_up(fake: Fake) -> None:
    fake.hangs = True
    with pytest.raises(Unreachable, match="cannot be reached"):
        Api(Access(fake.url), Pace(answer=0.2)).get("/api/v1/nodes/n1", {})


def test_a_watch_without_a_word_is_given_up(fake: Fake) -> None:
    answered: list[bool] = []
    api = Api(Access(fake.url), Pace(quiet=0.3))
    with pytest.raises(Quiet, match="timed out"):
        list(api.watch("/api/v1/pods", {"resourceVersion": "100"}, lambda: answered.append(True)))
    assert answered == [True]


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("86400", 120), ("soon", 0), ("\u0663", 0), ("", 0)]
)
def test_a_server_says_how_long_it_wants_to_be_left_alone(header: str, seconds: float) -> None:
    response = urllib3.HTTPResponse(b"", {"Retry-After": header}, 429)
    assert _after_s(response) == seconds


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        Api(Access("http://127.0.0.1:9")).get("/api/v1/nodes", {})


def test_a_missing_right_names_the_way_out() -> None:
    assert "docs/containers.md" in explain(ApiError(403, "pods is forbidden"))
    assert "CRDs" in explain(ApiError(404, "not found"))
    assert "token" in explain(ApiError(401, "Unauthorized"))
