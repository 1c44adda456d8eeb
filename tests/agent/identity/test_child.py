# SPDX-License-Identifier: Apache-2.0
"""Questions and answers; tests/kube has the whole process."""

import socket
import threading
from typing import Any

import orjson
import pytest

from agent.identity.child import Child, read_messages
from agent.identity.options import Options
from agent.identity.questions import Found, Question


class Cri:
    """A runtime that knows some containers."""

    name = "cri"

    def __init__(self, **known: str) -> None:
        self._known = known

    def find(self, question: Question) -> Found | None:
        """By name."""
        name = self._known.get(question.id)
        return (
            Found("cri", {"id": question.id, "name": name}, {"uid": "u-1", "name": "web"}) if name else None
        )


def child(source: Cri) -> tuple[Child, list[dict[str, Any]]]:
    """A child whose messages are kept."""
    said: list[dict[str, Any]] = []
    made = Child(Options(), lambda data: said.append(orjson.loads(data)), [source])
    made.outbox.put = lambda key, message: said.append(message)  # type: ignore[method-assign]
    return made, said


def run(made: Child) -> None:
    """Lets the runtimes be asked until all is answered."""
    thread = threading.Thread(target=made.runtimes.run)
    thread.start()
    threading.Event().wait(0.3)
    made.runtimes.stop()
    thread.join()


def test_a_runtime_answers_where_no_kubernetes_is() -> None:
    made, said = child(Cri(x="main"))
    made.take({"container": {"id": "x"}})
    run(made)
    assert said[0]["answer"]["source"] == "cri" and said[0]["answer"]["container"]["name"] == "main"


def test_kubernetes_answer_follows_a_runtime_s() -> None:
    made, said = child(Cri(x="main"))
    made.take({"container": {"id": "x", "pod_uid": "u-1"}})
    run(made)
    metadata = {"uid": "u-1", "name": "web", "namespace": "shop", "labels": {"app": "web"}}
    made.pods.change("ADDED", {"metadata": metadata})
    answers = [one["answer"] for one in said if "answer" in one]
    assert [one["source"] for one in answers] == ["cri", "kubernetes"]
    assert answers[1]["container"]["name"] == "main" and answers[1]["pod"]["pod_labels"] == {"app": "web"}


def test_a_container_that_is_gone_before_anyone_knew_it_is_unknowable() -> None:
    made, said = child(Cri())
    question = Question("x")
    made.take({"container": {"id": "x"}})
    made.take({"gone": "x"})
    made._looked_up(question, None, "no container runtime knows it")
    assert said[-1]["answer"]["reason"] == "it was gone before it could be looked up"


def test_a_pod_s_container_stays_pending_while_the_api_may_still_tell() -> None:
    made, said = child(Cri())
    made.asks_kubernetes = True
    made.take({"container": {"id": "x", "pod_uid": "u-1"}})
    made._looked_up(Question("x", pod_uid="u-1"), None, "no container runtime knows it")
    assert said[-1]["answer"]["state"] == "pending"


def test_an_answer_is_told_again_only_when_it_is_another() -> None:
    made, said = child(Cri())
    made.take({"container": {"id": "x", "pod_uid": "u-1"}})
    thing = {"metadata": {"uid": "u-1", "name": "web"}, "status": {"phase": "Pending"}}
    made.pods.change("ADDED", thing)
    made.pods.change("MODIFIED", thing | {"status": {"phase": "Running"}})
    assert len([one for one in said if "answer" in one]) == 1


def test_what_is_no_message_is_passed_over() -> None:
    ours, theirs = socket.socketpair()
    ours.sendall(b'garbage\n[1]\n{"gone":"x"}\n')
    ours.close()
    with theirs:
        assert list(read_messages(theirs)) == [{"gone": "x"}]


def test_a_container_that_turns_out_to_be_in_a_pod_is_asked_anew() -> None:
    made, said = child(Cri())
    made.take({"container": {"id": "x"}})
    made.take({"container": {"id": "x", "pod_uid": "u-1"}})
    made.pods.change("ADDED", {"metadata": {"uid": "u-1", "name": "web", "namespace": "shop"}})
    made.namespaces.change("ADDED", {"metadata": {"name": "shop", "labels": {"stage": "test"}}})
    answers = [one["answer"] for one in said if "answer" in one]
    assert answers[-1]["pod"]["name"] == "web" and answers[-1]["namespace_labels"] == {"stage": "test"}


def test_what_a_runtime_tells_by_itself_answers_what_is_asked_before_and_after() -> None:
    made, said = child(Cri())
    made.take({"container": {"id": "x"}})
    for id_ in ("x", "y"):
        made.learn(Found("nri", {"id": id_, "name": "main"}, {"uid": "u-1", "name": "web"}))
    made.take({"container": {"id": "y"}})
    answers = [one["answer"] for one in said if "answer" in one]
    assert [(one["id"], one["source"], one["pod"]["name"]) for one in answers] == [
        ("x", "nri", "web"),
        ("y", "nri", "web"),
    ]


def test_a_runtime_that_was_asked_knows_more_than_one_that_tells() -> None:
    made, said = child(Cri(x="main"))
    made.take({"container": {"id": "x"}})
    run(made)
    made.learn(Found("nri", {"id": "x", "name": "main"}, {}))
    assert [one["answer"]["source"] for one in said if "answer" in one] == ["cri"]


@pytest.mark.parametrize("first", ["oci", "nri"])
def test_a_bundle_that_has_no_labels_hides_none(first: str) -> None:
    made, said = child(Cri())
    made.take({"container": {"id": "x"}})
    labels = {"oci": {}, "nri": {"pod_labels": {"app": "web"}}}
    for source in (first, "nri" if first == "oci" else "oci"):
        found = Found(source, {"id": "x", "name": "main"}, {"name": "web"} | labels[source])
        (made.learn(found) if source == "nri" else made._looked_up(Question("x"), found, ""))
    assert [one["answer"] for one in said if "answer" in one][-1]["pod"]["pod_labels"] == {"app": "web"}


def test_a_container_that_starts_is_answered_for_with_kubernetes_word_first() -> None:
    made, _ = child(Cri())
    labels = {"app": "new"}
    metadata = {"uid": "u-1", "name": "web", "namespace": "shop", "labels": labels}
    made.pods.change("ADDED", {"metadata": metadata})
    made.namespaces.change("ADDED", {"metadata": {"name": "shop", "labels": {"stage": "test"}}})
    found = Found("nri", {"id": "x", "name": "main"}, {"uid": "u-1", "pod_labels": {"app": "old"}})
    told = made.starting(Question("x", pod_uid="u-1"), found)
    assert told and told["pod"]["pod_labels"] == labels and told["namespace_labels"] == {"stage": "test"}
    assert told["container"]["name"] == "main"


def test_what_is_told_too_early_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.identity.child.MOST_EARLY", 3)
    made, _ = child(Cri())
    for number in range(9):
        made.learn(Found("nri", {"id": str(number), "name": "main"}, {}))
    assert list(made._early) == ["6", "7", "8"]
