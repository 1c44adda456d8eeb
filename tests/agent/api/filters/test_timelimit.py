# SPDX-License-Identifier: Apache-2.0
import re
import signal
import time
from collections.abc import Iterator

import pytest

from agent.api.filters.timelimit import TimeLimit, TooSlow


@pytest.fixture
def limit() -> Iterator[TimeLimit]:
    before = signal.getsignal(signal.SIGVTALRM)
    made = TimeLimit(0.1)
    made.install()
    yield made
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x$"])
def test_a_match_that_would_take_for_ever_is_ended(limit: TimeLimit, pattern: str) -> None:
    began = time.monotonic()
    with pytest.raises(TooSlow, match=r"more than 0\.1 s"), limit:
        re.compile(pattern).search("a" * 50 + "b")
    assert time.monotonic() - began < 5


def test_what_is_quick_is_left_alone(limit: TimeLimit) -> None:
    with limit:
        assert re.search("b", "abc")
    assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0


def test_it_can_be_used_again_after_it_struck(limit: TimeLimit) -> None:
    for _ in range(3):
        with pytest.raises(TooSlow), limit:
            re.search("(a+)+$", "a" * 50 + "b")


def test_a_signal_that_comes_late_strikes_nobody(limit: TimeLimit) -> None:
    with limit:
        pass
    signal.raise_signal(signal.SIGVTALRM)
