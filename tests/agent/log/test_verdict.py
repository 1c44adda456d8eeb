# SPDX-License-Identifier: Apache-2.0
from agent.log.examine import Fault
from agent.log.verdict import Verdict


def test_kinds_of_segments_are_counted() -> None:
    verdict = Verdict()
    for kind in ("chained", "expired", "chained"):
        verdict.count(kind)
    assert verdict.counts == {"chained": 2, "expired": 1}


def test_faults_keep_their_order() -> None:
    verdict = Verdict()
    verdict.fault("b", 1, 2, "x")
    verdict.fault("a", 0, 0, "y")
    assert verdict.faults == [Fault("b", 1, 2, "x"), Fault("a", 0, 0, "y")]
