# SPDX-License-Identifier: Apache-2.0
from typing import Any

import orjson
import pytest

from agent.detect.stories import (
    LOOKS,
    MANY_LOOKS,
    MINUTE_NS,
    MOST_A_MINUTE,
    MOST_ARGUMENTS,
    MOST_STORIES,
    SECOND_NS,
    WINDOW_NS,
    Stories,
    Told,
)

SHELL = {"exec_id": "shell", "pid": 40, "binary": "/bin/bash"}
SSHD = {"exec_id": "sshd", "pid": 30, "binary": "/usr/sbin/sshd"}
T0 = 29_000_000 * MINUTE_NS


def detection(
    number: int, *, rule: str = "r1", level: str = "medium", above: Any = (SHELL, SSHD), **more: Any
) -> dict[str, Any]:
    process = {"exec_id": f"p{number}", "pid": 100 + number, "binary": "/bin/nc"}
    return {
        "id": f"d{number}",
        "level": level,
        "rule": {"id": rule, "title": f"Rule {rule}"},
        "tags": ["attack.execution", "attack.t1059.004"],
        "process": process,
        "ancestors": list(above),
        **more,
    }


def told(stories: Stories, found: dict[str, Any], time_ns: int) -> list[tuple[str, Any]]:
    return [(one.kind, one.content.get("state")) for one in stories.add(found, time_ns)]


def test_the_first_detection_begins_a_story_and_the_next_one_belongs_to_it() -> None:
    stories = Stories()
    first, second = detection(1), detection(2)
    assert told(stories, first, T0) == [("detection", None), ("story", "open")]
    assert told(stories, second, T0 + 1) == [("detection", None)]
    assert first["story"] == second["story"] and len(stories) == 1


def test_a_story_says_when_what_how_often_and_below_whom() -> None:
    stories = Stories()
    list(stories.add(detection(1), T0))
    list(stories.add(detection(2, rule="r2"), T0 + SECOND_NS))
    [closed] = stories.look(T0 + 2 * WINDOW_NS)
    content = closed.content
    assert (content["state"], content["count"], content["processes"]) == ("closed", 2, 2)
    assert (content["root"], content["techniques"]) == (SHELL, ["T1059.004"])
    assert content["rules"]["r2"] == {"title": "Rule r2", "level": "medium", "count": 1}
    assert content["first"] < content["last"] and closed.time_ns is None and not len(stories)


def test_processes_of_different_subtrees_have_stories_of_their_own() -> None:
    stories = Stories()
    one, other = detection(1), detection(2, above=[SSHD])
    list(stories.add(one, T0)), list(stories.add(other, T0))
    assert one["story"] != other["story"]


def test_what_comes_after_the_window_is_another_story() -> None:
    stories = Stories()
    first, late = detection(1), detection(2)
    list(stories.add(first, T0))
    assert told(stories, late, T0 + WINDOW_NS + 1) == [
        ("story", "closed"),
        ("detection", None),
        ("story", "open"),
    ]
    assert first["story"] != late["story"]


def test_a_clock_that_is_set_back_ends_stories_of_the_future() -> None:
    stories, year = Stories(), 365 * 1440 * MINUTE_NS
    list(stories.add(detection(1), T0 + year))
    list(stories.add(detection(2, above=[]), T0 + year))
    assert told(stories, detection(3), T0)[0] == ("story", "closed")
    assert [one.content["count"] for one in stories.look(T0 + 1)] == [1]
    assert [one.content["count"] for one in stories.look(T0 + 2 * WINDOW_NS)] == [1]


def test_a_rule_that_fires_thirty_thousand_times_is_one_story_with_a_count() -> None:
    stories = Stories()
    lines = [one for number in range(30_000) for one in stories.add(detection(number), T0 + number * 10**6)]
    lines += stories.look(T0 + 2 * WINDOW_NS)
    assert sum(one.kind == "detection" for one in lines) == MOST_A_MINUTE
    assert [one.content["state"] for one in lines if one.kind == "story"] == ["open", "closed"]
    assert (lines[-1].content["count"], lines[-1].content["suppressed"]) == (30_000, 30_000 - MOST_A_MINUTE)


def test_every_rule_and_every_minute_has_its_own_share() -> None:
    stories = Stories()
    for number in range(MOST_A_MINUTE):
        list(stories.add(detection(number), T0))
    assert told(stories, detection(100), T0) == []
    assert ("detection", None) in told(stories, detection(101, rule="r2"), T0)
    assert ("detection", None) in told(stories, detection(102), T0 + MINUTE_NS)


def test_who_floods_does_not_hide_what_other_programs_do() -> None:
    stories = Stories()
    for number in range(MOST_A_MINUTE):
        list(stories.add(detection(number), T0))
    other = {"exec_id": "p", "pid": 7, "binary": "/tmp/x"}
    assert ("detection", None) in told(stories, detection(100, process=other), T0)
    assert told(stories, detection(101, process=other), T0) == []


def test_a_flood_of_many_programs_is_bounded_as_well() -> None:
    stories, lines = Stories(), 0
    for number in range(1000):
        process = {"exec_id": f"p{number}", "pid": 7, "binary": f"/tmp/{number}"}
        found = stories.add(detection(number, process=process), T0)
        lines += sum(one.kind == "detection" for one in found)
    assert lines <= 2 * MOST_A_MINUTE


def test_it_is_told_again_when_it_becomes_worse_at_once() -> None:
    stories = Stories()
    list(stories.add(detection(1), T0))
    assert told(stories, detection(2, level="critical"), T0 + 1) == [
        ("detection", None),
        ("story", "updated"),
    ]
    assert told(stories, detection(3, level="high"), T0 + 2) == [("detection", None)]


def test_it_is_told_again_when_it_has_doubled_but_once_a_minute() -> None:
    stories = Stories()
    for number in range(8):
        list(stories.add(detection(number), T0 + number))
    assert list(stories.look(T0 + MINUTE_NS - 1)) == []
    assert [one.content["count"] for one in stories.look(T0 + MINUTE_NS)] == [8]
    assert list(stories.look(T0 + 3 * MINUTE_NS)) == []


def test_what_was_not_told_yet_is_told_at_the_end_of_a_run() -> None:
    stories = Stories()
    for number in range(3):
        list(stories.add(detection(number), T0 + number))
    assert [(one.content["state"], one.content["count"]) for one in stories.settle(T0 + 9)] == [
        ("updated", 3)
    ]
    assert list(stories.settle(T0 + 9)) == [] and len(stories) == 1


def test_there_are_only_so_many_at_once() -> None:
    stories = Stories()
    for number in range(MOST_STORIES):
        list(stories.add(detection(number, above=[]), T0 + number))
    more = list(stories.add(detection(MOST_STORIES, above=[]), T0 + MOST_STORIES))
    assert (more[-1].content["state"], more[-1].content["root"]["exec_id"]) == ("closed", "p0")
    assert len(stories) == MOST_STORIES


def test_one_that_is_saved_and_restored_tells_the_same() -> None:
    before, after = Stories(), Stories()
    for number in range(30):
        list(before.add(detection(number), T0 + number))
    after.restore(orjson.loads(orjson.dumps(before.state())))
    for number in range(30, 90):
        at = T0 + number * SECOND_NS
        assert list(before.add(detection(number), at)) == list(after.add(detection(number), at))
    assert list(before.look(T0 + 2 * WINDOW_NS)) == list(after.look(T0 + 2 * WINDOW_NS))


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": "5"}, {"last_ns": None}, {"level": "dire"}, {"root": []}, {"rules": {"r": {"count": "1"}}},
        {"rules": []}, {"minutes": {"r": [1]}}, {"programs": {"r": [7]}}, {"techniques": [1]}, {"more": 1},
    ],
)  # fmt: skip
def test_saved_stories_of_other_types_are_refused_and_nothing_of_them_is_taken(wrong: dict[str, Any]) -> None:
    before, after = Stories(), Stories()
    for number in range(2):
        list(before.add(detection(number, above=[]), T0))
    good, bad = orjson.loads(orjson.dumps(before.state()))
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        after.restore([good, {**bad, **wrong}])
    assert len(after) == 0


def looks(
    stories: Stories, count: int, begin_ns: int = T0, apart_ns: int = SECOND_NS, **more: Any
) -> list[Told]:
    """Detections of so many rules of discovery; what was told of stories."""
    lines: list[Told] = []
    for number in range(count):
        one = detection(
            number, rule=f"look{number}", level="low", tags=["attack.discovery", "attack.t1082"], **more
        )
        lines += stories.add(one, begin_ns + number * apart_ns)
    return [line for line in lines if line.kind == "story"]


def test_many_looks_around_within_a_minute_are_more_than_each_of_them() -> None:
    stories = Stories()
    lines = looks(stories, MANY_LOOKS + 1)
    assert [(one.content["state"], one.content["level"]) for one in lines] == [
        ("open", "low"),
        ("updated", LOOKS),
    ]
    assert lines[-1].content["raised"] == f"{MANY_LOOKS} rules of discovery within a minute"
    [closed] = stories.look(T0 + 2 * WINDOW_NS)
    assert closed.content["raised"] and closed.content["count"] == MANY_LOOKS + 1


@pytest.mark.parametrize(
    ("count", "apart_ns"), [(MANY_LOOKS - 1, SECOND_NS), (3 * MANY_LOOKS, 10 * SECOND_NS)]
)
def test_fewer_looks_or_slower_ones_are_not(count: int, apart_ns: int) -> None:
    assert {one.content["level"] for one in looks(Stories(), count, apart_ns=apart_ns)} == {"low"}


def test_one_look_again_and_again_and_looks_of_others_do_not_add_up() -> None:
    stories = Stories()
    for _ in range(MANY_LOOKS):
        lines = looks(stories, 1)
    lines += looks(stories, MANY_LOOKS - 1, above=({**SHELL, "exec_id": "another"}, SSHD))
    assert {one.content["level"] for one in lines} <= {"low"}


def test_a_story_that_is_louder_by_a_rule_does_not_say_that_it_was_raised() -> None:
    stories = Stories()
    looks(stories, MANY_LOOKS)
    [line] = [one for one in stories.add(detection(99, level="high"), T0 + MINUTE_NS) if one.kind == "story"]
    assert (line.content["level"], "raised" in line.content) == ("high", False)


def test_looks_are_saved() -> None:
    before, after = Stories(), Stories()
    looks(before, MANY_LOOKS - 1)
    after.restore(orjson.loads(orjson.dumps(before.state())))
    one = detection(99, rule="another", level="low", tags=["attack.discovery"])
    assert [
        line.content["level"] for line in after.add(one, T0 + MINUTE_NS // 2) if line.kind == "story"
    ] == [LOOKS]


def test_a_detection_without_a_process_belongs_to_the_story_of_its_rule() -> None:
    stories = Stories()
    one = detection(1, process=None, ancestors=None)
    assert told(stories, one, T0) == [("detection", None), ("story", "open")]
    assert one["story"] == next(stories.look(T0 + 2 * WINDOW_NS)).content["id"]


def test_what_must_not_be_told_twice_has_the_same_key() -> None:
    assert Told("detection", {"id": "d"}, 1).key == Told("detection", {"id": "d"}, 2).key
    states = {Told("story", {"id": "s", "state": state, "count": 2}, 1).key for state in ("open", "closed")}
    assert len(states) == 2


def test_of_a_root_with_arguments_without_end_the_beginning_is_kept() -> None:
    stories = Stories()
    list(stories.add(detection(1, above=({**SHELL, "arguments": "a" * 250_000}, SSHD)), T0))
    [saved] = stories.state()
    assert saved["root"]["arguments"] == "a" * MOST_ARGUMENTS
