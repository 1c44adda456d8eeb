# SPDX-License-Identifier: Apache-2.0
"""Runtimes, asked one after the other."""

import threading
import time

import pytest

from agent.identity import runtimes
from agent.identity.questions import Found, Question
from agent.identity.runtimes import Runtimes, Source, SourceError


class Answers:
    """A source that knows a container from its nth question on."""

    def __init__(self, name: str, from_question: int = 0, error: str = "") -> None:
        self.name, self.asked = name, 0
        self._from, self._error = from_question, error

    def find(self, question: Question) -> Found | None:
        """Counts."""
        self.asked += 1
        if self._error:
            raise SourceError(self._error)
        return Found(self.name, {"id": question.id}, {}) if self.asked > self._from else None


def asked(question: Question, *sources: Source) -> tuple[Found | None, str, Runtimes]:
    """What comes of one question."""
    told: list[tuple[Found | None, str]] = []
    done = threading.Event()

    def take(question: Question, found: Found | None, reason: str) -> None:
        told.append((found, reason))
        done.set()

    found = Runtimes(sources, take)
    thread = threading.Thread(target=found.run)
    thread.start()
    found.ask(question)
    assert done.wait(20)
    found.stop()
    thread.join()
    return *told[0], found


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "RETRIES_S", (0.01, 0.01, 0.01))


def test_a_runtime_that_knows_it_a_moment_later_is_asked_again() -> None:
    found, _, _ = asked(Question("x"), Answers("cri", from_question=2))
    assert found and found.source == "cri"


def test_the_cgroup_s_runtime_is_asked_first() -> None:
    cri, docker = Answers("cri"), Answers("docker")
    found, _, _ = asked(Question("x", "docker"), cri, docker)
    assert found and found.source == "docker" and cri.asked == 0


def test_a_source_that_fails_is_left_alone_and_others_answer() -> None:
    broken, oci = Answers("cri", error="no answer within 2 s"), Answers("oci", from_question=2)
    found, _, state = asked(Question("x"), broken, oci)
    assert found and found.source == "oci" and broken.asked == 1
    assert state.health()["cri"].error == "no answer within 2 s"


def test_a_source_that_we_stumble_over_is_told_and_the_others_answer() -> None:
    class Odd(Answers):
        def find(self, question: Question) -> Found | None:
            raise KeyError(":status")

    found, _, known = asked(Question("x"), Odd("cri"), Answers("oci"))
    assert found and found.source == "oci" and "KeyError" in known.health()["cri"].error


def test_what_a_bundle_tells_counts_until_the_runtime_knows_more() -> None:
    told: list[str] = []
    known = threading.Event()

    def take(question: Question, found: Found | None, reason: str) -> None:
        told.append(found.source if found else reason)
        if told[-1] == "cri":
            known.set()

    found = Runtimes([Answers("cri", from_question=2), Answers("oci")], take)
    thread = threading.Thread(target=found.run)
    thread.start()
    found.ask(Question("x"))
    assert known.wait(20)
    found.stop()
    thread.join()
    assert told == ["oci", "oci", "cri"]


def test_a_bundle_alone_is_asked_once() -> None:
    oci = Answers("oci")
    _, _, known = asked(Question("x"), oci)
    assert oci.asked == 1 and not known._due


def test_who_nobody_knows_is_told_with_the_reason() -> None:
    assert asked(Question("x"), Answers("oci", 99))[:2] == (None, "no container runtime knows it")
    assert asked(Question("x"), Answers("cri", error="hangs"))[:2] == (None, "cri: hangs")
    assert "no container runtime's socket" in asked(Question("x"))[1]


def test_an_idle_thread_waits_without_asking() -> None:
    found = Runtimes([], lambda question, found, reason: None)
    thread = threading.Thread(target=found.run)
    before = time.process_time()
    thread.start()
    time.sleep(0.3)
    found.stop()
    thread.join()
    assert time.process_time() - before < 0.2
