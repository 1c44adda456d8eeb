# SPDX-License-Identifier: Apache-2.0
"""The part of the log that was read, and its holes."""

from __future__ import annotations

from agent.cli.period import Period
from tests.agent.cli.conftest import LogMaker, stamp


def test_times_without_an_agent_are_holes(log: LogMaker) -> None:
    period = Period()
    for record in (
        log.own("stop", {"reason": "x"}, 10),
        log.own("start", {"pid": 1}, 20),
        log.own("unclean_shutdown", {"last_time": stamp(30)}, 40),
        log.own("start", {"pid": 2}, 41),
    ):
        period.note(record)
    assert [(loss["cause"], loss["from"], loss["to"]) for loss in period.losses] == [
        ("agent_not_running", stamp(10), stamp(20)),
        ("agent_not_running", stamp(30), stamp(41)),
    ]


def test_losses_and_removed_segments_are_holes(log: LogMaker) -> None:
    period = Period()
    log.loss(3, 1, 2)
    period.note(log.own("loss", {"cause": "map_full", "count": 3, "from": stamp(1), "to": stamp(2)}, 2))
    period.note({"tracehound": {"notice": {"cause": "segment_removed"}}})
    assert [(loss["cause"], loss["from"]) for loss in period.losses] == [
        ("map_full", stamp(1)),
        ("records_removed", stamp(2)),
    ]


def test_another_boot_is_noted_with_its_time(log: LogMaker) -> None:
    period = Period()
    for boot, at in (("a", 1), ("a", 2), ("b", 3)):
        period.note(log.own("segment", {"boot_id": boot}, at))
    assert period.reboots == [stamp(3)]
    assert period.start == stamp(1)
