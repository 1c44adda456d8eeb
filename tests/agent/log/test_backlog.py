# SPDX-License-Identifier: Apache-2.0
import pytest

from agent.log.backlog import LINE_OVERHEAD, Backlog
from agent.log.records import Line

COST = LINE_OVERHEAD + 10
LINES = [(b"%05d" % i, b"tail\n") for i in range(100)]


def loss_line(count: int, from_ns: int, to_ns: int) -> Line:
    return b"lost %d" % count, b" from %d to %d\n" % (from_ns, to_ns)


@pytest.fixture
def backlog() -> Backlog:
    """Has room for ten lines."""
    return Backlog(10 * COST, loss_line)


def test_what_fits_is_queued_and_the_rest_is_counted(backlog: Backlog) -> None:
    assert backlog.put(LINES[:15], now_ns=1) == 10
    assert (len(backlog), backlog.bytes, backlog.dropped) == (10, 10 * COST, 5)


def test_once_something_was_dropped_nothing_passes_it(backlog: Backlog) -> None:
    backlog.put(LINES[:15], 1)
    backlog.discard(2)
    assert backlog.put(LINES[15:16], 2) == 0


def test_the_gap_is_told_between_what_was_before_and_after_it(backlog: Backlog) -> None:
    backlog.put(LINES[:15], 1)
    backlog.put(LINES[15:17], 5)
    backlog.discard(8)
    assert backlog.put(LINES[17:18], 9) == 1
    assert backlog.head(9) == [*LINES[8:10], (b"lost 7", b" from 1 to 5\n"), LINES[17]]


def test_a_gap_alone_has_to_be_written_too(backlog: Backlog) -> None:
    backlog.put(LINES[:11], 1)
    backlog.discard(10)
    assert backlog.pending and not backlog
    backlog.close_gap()
    assert backlog.head(9) == [(b"lost 1", b" from 1 to 1\n")]
    backlog.discard(1)
    assert (backlog.pending, backlog.bytes) == (False, 0)


def test_own_records_have_room_of_their_own() -> None:
    backlog = Backlog(160 * COST, loss_line)
    backlog.put([LINES[0]] * 161, 1)
    assert backlog.put_own(LINES[1], 2) == 1
    assert backlog.head(999)[-2:] == [(b"lost 1", b" from 1 to 1\n"), LINES[1]]


def test_even_own_records_end_somewhere() -> None:
    backlog = Backlog(160 * COST, loss_line)
    backlog.put([LINES[0]] * 160, 1)
    assert sum(backlog.put_own(LINES[1], 2) for _ in range(20)) == 10
    assert backlog.dropped == 10


def test_what_came_before_is_put_before_all_else(backlog: Backlog) -> None:
    backlog.put(LINES[:1], 1)
    backlog.put_first(LINES[5:7])
    assert backlog.head(9) == [*LINES[5:7], LINES[0]]
