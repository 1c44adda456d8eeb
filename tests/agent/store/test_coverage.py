# SPDX-License-Identifier: Apache-2.0
from agent.log.times import format_time
from agent.store.coverage import coverage_of, falls_into
from agent.store.live import Live, LiveSegment


def test_a_hole_between_segments_is_a_gap() -> None:
    live = Live(segments=[LiveSegment("a", "b", "", 1, 5, 1, 2), LiveSegment("c", "b", "a", 9, 10, 3, 4)])
    coverage = coverage_of(None, live)
    assert (coverage.gaps, coverage.from_ns, coverage.to_ns) == ([(6, 8)], 1, 4)


def test_another_boot_begins_anew_without_a_gap() -> None:
    live = Live(segments=[LiveSegment("a", "b", "", 1, 5, 1, 2), LiveSegment("c", "d", "a", 1, 10, 3, 4)])
    live.notes = [(1, "segment", {}, "b"), (3, "segment", {}, "d")]
    assert coverage_of(None, live).gaps == []
    assert coverage_of(None, live).reboots == [3]


def test_the_time_without_an_agent_is_a_loss() -> None:
    live = Live(notes=[(10, "stop", {}, "b"), (20, "start", {}, "b")])
    (loss,) = coverage_of(None, live).losses
    assert loss == {"cause": "agent_not_running", "from": format_time(10), "to": format_time(20)}


def test_a_loss_without_times_concerns_everybody() -> None:
    assert falls_into({}, 5, 6)
    assert not falls_into({"from": format_time(10), "to": format_time(20)}, 21, 30)
