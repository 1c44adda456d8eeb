# SPDX-License-Identifier: Apache-2.0
import dataclasses

from agent.store.report.page import render
from tests.agent.store.report.invented import FACTS, START_NS, tiny


def test_the_head_says_who_asked_what_and_when() -> None:
    page = render(tiny(), FACTS)
    for told in ("INC-4711", "carol@bastion", "Linux 6.12.57", FACTS.question, "2026-01-01 01:00:00.000 UTC"):
        assert told in page


def test_the_period_that_was_asked_for_is_told() -> None:
    page = render(tiny(), dataclasses.replace(FACTS, since_ns=START_NS, until_ns=None))
    assert "2026-01-01 00:00:00.000 UTC to the end of the log" in page
