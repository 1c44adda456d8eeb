# SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from pathlib import Path

from exporters.base import Document, Sent, TryAgain
from exporters.deadletter import DeadLetters
from exporters.delivery import Delivery
from exporters.limits import Backoff
from exporters.patience import Patience
from exporters.state import State


class Scripted:
    """A destination that does what the next entry of a list says."""

    def __init__(self, *script: Sent | Exception) -> None:
        self.script, self.got, self.opened = list(script), [], 0  # type: ignore[var-annotated]

    def open(self) -> "Scripted":
        self.opened += 1
        return self

    def send(self, batch: Sequence[Document]) -> Sent:
        self.got.append([document.sequence for document in batch])
        step = self.script.pop(0) if self.script else Sent()
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        """Nothing is open."""


def deliver(tmp_path: Path, destination: Scripted, count: int = 4) -> tuple[State, list[tuple[float, str]]]:
    state, waits = State("x"), []
    documents = [Document({}, b"{}", "process_exec", 1, number, "b", "n", "n") for number in range(count)]
    delivery = Delivery(
        destination.open,
        Patience(),
        lambda seconds, kind: waits.append((seconds, kind)),
        state,
        DeadLetters(tmp_path, 1 << 20),
        Backoff(1, 60, chance=lambda: 0.0),
        10,
    )
    delivery.deliver(documents)
    return state, waits


def test_only_what_failed_is_sent_again_before_anything_else(tmp_path: Path) -> None:
    destination = Scripted(Sent(again=[1, 3], after_s=5))
    state, waits = deliver(tmp_path, destination)
    assert destination.got == [[0, 1, 2, 3], [1, 3]]
    assert (state.sent, state.batches, waits) == (4, 2, [(5, "waiting")])


def test_what_is_refused_is_a_dead_letter_and_not_sent_again(tmp_path: Path) -> None:
    destination = Scripted(Sent(refused=[(2, "no such field")]))
    state, _ = deliver(tmp_path, destination)
    assert (state.sent, state.refused, destination.got) == (3, 1, [[0, 1, 2, 3]])
    assert b"no such field" in (tmp_path / "dead.jsonl").read_bytes()


def test_a_batch_that_is_too_large_goes_in_halves_and_in_order(tmp_path: Path) -> None:
    destination = Scripted(TryAgain("413", smaller=True), TryAgain("413", smaller=True))
    state, waits = deliver(tmp_path, destination)
    assert destination.got == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3]]
    assert (state.sent, waits) == (4, [])


def test_an_unexpected_failure_makes_a_new_destination(tmp_path: Path) -> None:
    destination = Scripted(ValueError("a defect"))
    state, waits = deliver(tmp_path, destination)
    assert (destination.opened, state.sent, len(waits)) == (2, 4, 1)
    assert state.last_error == "ValueError: a defect"


def test_what_needs_an_operator_is_tried_at_the_longest_interval(tmp_path: Path) -> None:
    _, waits = deliver(tmp_path, Scripted(TryAgain("401", needs_operator=True), TryAgain("busy")))
    assert waits == [(60, "blocked"), (2, "waiting")]
