# SPDX-License-Identifier: Apache-2.0
from typing import Any

import orjson
import pytest

from agent.detect.building import Wanted, build
from agent.detect.evaluation import Evaluation
from agent.detect.stories import MOST_A_MINUTE
from tests.agent.detect.running import Running


@pytest.fixture
def lines(running: Running) -> list[bytes]:
    """A log with three netcats, and nobody who looked at it."""
    running.exec("/bin/ls", 5)
    running.exec("/bin/nc", 3)
    return [line for path in running.log_dir.glob("1*.jsonl") for line in path.read_bytes().splitlines()]


@pytest.fixture
def evaluation(running: Running) -> Evaluation:
    return Evaluation(build(Wanted((str(running.rules),))).engine)


def kinds(told: Any) -> list[str]:
    return [one.kind for one in told]


def test_events_are_counted_and_what_is_found_is_told(evaluation: Evaluation, lines: list[bytes]) -> None:
    assert kinds(evaluation.take(lines)) == ["detection", "story", "detection", "detection"]
    assert (evaluation.evaluated, evaluation.hits, evaluation.failed) == (9, 3, 0)
    assert list(evaluation.by_rule.values()) == [3]


def test_what_was_told_before_is_left_out_and_counted_in_its_story(
    evaluation: Evaluation, running: Running, lines: list[bytes]
) -> None:
    first = [told.key for told in evaluation.take(lines)]
    again = Evaluation(build(Wanted((str(running.rules),))).engine)
    again.told = set(first[:3])
    assert [told.key for told in again.take(lines)] == first[3:]
    assert again.state() == evaluation.state()


def test_a_detection_in_the_log_is_not_judged(evaluation: Evaluation, lines: list[bytes]) -> None:
    [found, *_] = evaluation.take(lines)
    own = {"tracehound": {"sequence": 99, "detection": found.content}, "node_name": "n1"}
    assert kinds(evaluation.take([orjson.dumps(own)])) == [] and evaluation.evaluated == 9


@pytest.mark.parametrize("line", [b"{", b"[]", b"3", b'"x"', b'{"process_exec":7,"tracehound":[]}'])
def test_a_bad_line_is_counted_and_the_next_one_judged(
    evaluation: Evaluation, lines: list[bytes], line: bytes
) -> None:
    assert kinds(evaluation.take([line, *lines])).count("detection") == 3


def test_it_goes_on_with_the_state_of_another_one(
    evaluation: Evaluation, running: Running, lines: list[bytes]
) -> None:
    list(evaluation.take(lines))
    other = Evaluation(evaluation.engine)
    other.restore(orjson.loads(orjson.dumps(evaluation.state())))
    running.exec("/bin/nc", 2 * MOST_A_MINUTE)
    more = (running.log_dir / sorted(p.name for p in running.log_dir.glob("1*.jsonl"))[-1]).read_bytes()
    more_lines = more.splitlines()[len(lines) :]
    assert [told.key for told in other.take(more_lines)] == [told.key for told in evaluation.take(more_lines)]
    assert other.hits == 3 + 2 * MOST_A_MINUTE
