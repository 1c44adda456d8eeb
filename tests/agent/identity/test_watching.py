# SPDX-License-Identifier: Apache-2.0
"""List and watch; what a whole child does with it is in tests/kube."""

import threading
from typing import Any

import pytest

from agent.identity.access import Access
from agent.identity.rest import Api, ApiError, Pace, Unreachable
from agent.identity.watching import SILENT, Resource, Watch
from tests.kube.fake import Fake


class Seen:
    """A sink that keeps names."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.stop = threading.Event()

    def replace(self, objects: list[dict[str, Any]]) -> None:
        """All."""
        self.all = [one["metadata"]["name"] for one in objects]

    def change(self, kind: str, thing: dict[str, Any]) -> None:
        """One; the watch ends after it."""
        self.events.append((kind, thing["metadata"]["name"]))
        self.stop.set()


def watch(fake: Fake, seen: Seen, **pace: float) -> Watch:
    """A watch of nodes."""
    return Watch(Api(Access(fake.url), Pace(**pace)), Resource("nodes", "/api/v1/nodes"), seen, seen.stop)


def test_what_there_is_comes_first_and_changes_follow(fake: Fake) -> None:
    seen = Seen()
    threading.Timer(0.2, fake.put, ("nodes", {"metadata": {"name": "n2"}})).start()
    watch(fake, seen).run()
    assert (seen.all, seen.events) == (["n1"], [("ADDED", "n2")])


def test_a_kind_of_which_nothing_changes_stays_fresh(fake: Fake) -> None:
    found = watch(fake, Seen(), quiet=1.0)
    for _ in range(3):  # each as long as `quiet`, which is half of the age that is stale
        found._round()
    assert found.health()._replace(age_seconds=0) == ("fresh", 0, "")


def test_a_server_that_is_silent_for_long_is_asked_for_all(fake: Fake) -> None:
    seen = Seen()
    found = watch(fake, seen, quiet=0.1)
    found._round()
    found._version = found._known = "900"  # etcd was restored: this one never was
    fake.put("nodes", {"metadata": {"name": "n2"}})
    for _ in range(SILENT - 1):
        found._round()
    assert seen.all == ["n1"]
    found._round()
    assert seen.all == ["n1", "n2"] and int(found._version) < 900


def test_a_server_that_is_back_after_failures_is_asked_for_what_is_new_only(fake: Fake) -> None:
    seen, fake.busy = Seen(), SILENT + 2
    found = watch(fake, seen, first=0.01)
    found._version = "100"
    found._stop.wait = lambda seconds=None: False  # type: ignore[method-assign, assignment]
    found.run()
    assert seen.events == [("ADDED", "n1")] and seen.all == []


def test_a_server_that_wants_to_be_left_alone_is(fake: Fake) -> None:
    found, waits, fake.busy = watch(fake, Seen(), first=0.01), list[float](), 1
    found._stop = type("Stop", (), {"wait": lambda self, seconds: waits.append(seconds)})()  # type: ignore
    with pytest.raises(ApiError) as caught:
        found._list()
    found._failed(caught.value)
    assert waits == [1.0]


def test_an_error_ends_when_the_server_agrees_to_a_watch(fake: Fake) -> None:
    found = watch(fake, Seen(), first=0.01, quiet=1.0)
    found._round()
    found._failed(Unreachable("nobody there"))
    errors = [found.health().error]
    timer = threading.Timer(0.5, lambda: errors.append(found.health().error))
    timer.start()
    found._round()
    timer.join()
    assert errors == ["nodes: nobody there", ""]


def test_an_error_is_told_until_the_server_answers_again(fake: Fake) -> None:
    seen, fake.forbidden = Seen(), {"nodes"}
    found = watch(fake, seen, first=0.01)
    found._failed(ApiError(403, "nodes is forbidden"))
    assert found.health().state == "stale" and "nodes is forbidden" in found.health().error
    fake.forbidden = set()
    threading.Timer(0.2, fake.put, ("nodes", {"metadata": {"name": "n2"}})).start()
    found.run()
    assert found.health().error == ""


NONSENSE = (
    {"items": [], "metadata": 7},
    {"items": 7},
    {"items": [{"metadata": "x"}]},
)


@pytest.mark.parametrize("page", NONSENSE, ids=str)
def test_a_list_of_another_form_is_told_and_asked_for_again(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any]
) -> None:
    seen = Seen()
    found = watch(fake, seen, first=0.01)
    answers = iter([page])
    real = found._api.get
    monkeypatch.setattr(found._api, "get", lambda path, query: next(answers, None) or real(path, query))
    threading.Timer(0.3, fake.put, ("nodes", {"metadata": {"name": "n2"}})).start()
    found.run()
    assert seen.all == ["n1"] and seen.events == [("ADDED", "n2")]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ADDED", "object": {"metadata": 7}},
        {"type": "BOOKMARK", "object": {"metadata": [1]}},
        {"type": "ERROR", "object": {"code": "many"}},
    ],
    ids=str,
)
def test_an_event_of_another_form_is_told_and_all_is_listed_anew(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, event: dict[str, Any]
) -> None:
    seen = Seen()
    found = watch(fake, seen, first=0.01)
    monkeypatch.setattr(found._api, "watch", lambda path, query, *rest: iter([event]))
    monkeypatch.setattr(found, "_failed", lambda error: (told.append(error), seen.stop.set()))
    told: list[Exception] = []
    found.run()
    assert "cannot be read" in str(told[0]) and found._version == ""


def test_a_server_that_ends_each_watch_at_once_is_not_flooded(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, waits = watch(fake, Seen(), first=0.5, longest=4.0), list[float]()
    found._stop = type("Stop", (), {"wait": lambda self, seconds: waits.append(seconds)})()  # type: ignore
    monkeypatch.setattr(found._api, "watch", lambda path, query, *rest: iter(()))
    for _ in range(6):
        found._round()
    assert len(waits) == 6 and waits[0] >= 0.25 and min(waits[4:]) >= 2.0 and max(waits) <= 4.0


def test_pauses_grow_up_to_a_bound(fake: Fake) -> None:
    seen, waits = Seen(), list[float]()
    found = watch(fake, seen, first=1.0, longest=5.0)
    found._stop = type("Stop", (), {"wait": lambda self, seconds: waits.append(seconds)})()  # type: ignore
    for _ in range(8):
        found._failed(Unreachable("down"))
    assert max(waits) <= 5.0 and waits[0] <= 1.0 and min(waits[4:]) >= 2.5


def test_an_hour_without_a_server_is_a_hundred_questions_and_then_what_is_new(fake: Fake) -> None:
    seen, waits = Seen(), list[float]()
    found = watch(fake, seen)
    found._list()
    there, found._api = found._api, Api(Access("http://127.0.0.1:9"))  # where nobody listens
    fake.put("nodes", {"metadata": {"name": "n2"}})

    def passes(seconds: float) -> None:  # at once
        assert found.health().state == "stale" or not waits
        waits.append(seconds)
        found._api = there if sum(waits) > 3600 else found._api

    found._stop.wait = passes  # type: ignore[method-assign, assignment]
    found.run()
    assert (seen.all, seen.events) == (["n1"], [("ADDED", "n2")]) and 120 < len(waits) < 250


def test_the_first_gone_is_listed_anew_at_once(fake: Fake) -> None:
    found = watch(fake, Seen())
    found._version = found._known = "7"
    found._failed(ApiError(410, "too old"))
    assert (found._version, found._known) == ("", "7") and found.health().error == ""
