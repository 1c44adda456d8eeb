# SPDX-License-Identifier: Apache-2.0
import signal
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent.api.feed import BATCH_EVENTS, FILTER_LIMIT, Encoded, Feed, Wish
from agent.api.filters.events import EventFilter
from agent.api.filters.fields import FieldSelection
from agent.api.filters.timelimit import TooSlow
from agent.api.head import Head
from agent.api.proto.tetragon import events_pb2
from agent.log.times import format_time
from tests.agent.api.support import Log

Response = events_pb2.GetEventsResponse


def feed_of(log: Log, **request: Any) -> Feed:
    asked = events_pb2.GetEventsRequest(**request)
    wish = Wish(EventFilter(asked), FieldSelection(asked.field_filters), expanded=False)
    return Feed(Head(str(log.directory)), str(log.directory), wish, Encoded(), None)


def unframed(frames: bytes) -> list[Response]:
    found, at = [], 0
    while at < len(frames):
        (length,) = struct.unpack_from(">xI", frames, at)
        found.append(Response.FromString(frames[at + 5 : at + 5 + length]))
        at += 5 + length
    return found


def everything(feed: Feed, most_behind: int = 10000) -> list[Response]:
    """All that there is, until the feed is at the end of the log."""
    feed._head.look()
    found = unframed(feed.next_frames(most_behind))
    while feed.events_behind:
        found += unframed(feed.next_frames(most_behind))
    return found


def pids(responses: list[Response]) -> list[int]:
    return [response.process_exec.process.pid.value for response in responses]


def dropped(responses: list[Response]) -> list[int]:
    return [response.rate_limit_info.number_of_dropped_process_events for response in responses]


def test_it_begins_with_what_comes_after_it_was_made(log: Log) -> None:
    log.exec(1)
    feed = feed_of(log)
    log.exec(2)
    assert pids(everything(feed)) == [2]


def test_it_gives_a_batch_at_a_time_and_misses_nothing(log: Log) -> None:
    feed = feed_of(log)
    log.execs(range(1, 500))
    log.own("heartbeat", {})
    log.rotate()
    log.execs(range(500, 1000))
    feed._head.look()
    assert feed.events_behind == 999
    first = unframed(feed.next_frames(10000))
    assert len(first) == BATCH_EVENTS
    assert feed.events_behind == 999 - BATCH_EVENTS
    assert pids(first + everything(feed)) == list(range(1, 1000))


def test_a_batch_of_long_events_is_short(log: Log) -> None:
    feed = feed_of(log)
    for pid in range(1, 9):
        log.exec(pid, arguments="x" * 100_000)
    feed._head.look()
    assert len(unframed(feed.next_frames(100))) == 3
    assert pids(everything(feed)) == [4, 5, 6, 7, 8]


def test_one_that_is_too_far_behind_skips_ahead_and_says_how_much(log: Log) -> None:
    feed = feed_of(log)
    log.execs(range(60))
    log.own("heartbeat", {})
    log.rotate()
    log.execs(range(41))
    feed._head.look()
    (notice,) = unframed(feed.next_frames(100))
    assert notice.WhichOneof("event") == "rate_limit_info"
    assert notice.rate_limit_info.number_of_dropped_process_events == 101
    assert (notice.node_name, notice.HasField("time")) == ("n1", True)
    log.exec(7)
    assert pids(everything(feed)) == [7]


def test_one_that_is_just_not_too_far_behind_gets_all(log: Log) -> None:
    feed = feed_of(log)
    log.execs(range(1, 101))
    assert pids(everything(feed, most_behind=100)) == list(range(1, 101))


def test_segments_that_were_removed_under_it_are_counted_as_missed(log: Log) -> None:
    feed = feed_of(log)
    gone = []
    for _ in range(3):
        log.rotate()
        log.execs(range(10))
        gone.append(log.segment)
    log.rotate()
    log.exec(77)
    for segment in gone:
        segment.unlink()
    found = everything(feed)
    assert dropped(found)[:-1] != []
    assert sum(dropped(found)) >= 30
    assert pids(found)[-1] == 77


def test_an_event_that_cannot_be_converted_is_told(log: Log) -> None:
    feed = feed_of(log)
    log.event("process_exec", {"process": {"pid": "many"}})
    log.event("process_exec", {"process": {"start_time": "?"}})
    log.exec(5)
    found = everything(feed)
    assert dropped(found) == [1, 1, 0]
    assert pids(found) == [0, 0, 5]


def test_a_damaged_line_is_passed_over(log: Log) -> None:
    feed = feed_of(log)
    with log.segment.open("ab") as file:
        file.write(b"\0\0garbage\n{}\n[1]\n")
    log.exec(5)
    assert pids(everything(feed)) == [5]


def test_events_that_are_not_wanted_still_move_it_on(log: Log) -> None:
    feed = feed_of(log, allow_list=[events_pb2.Filter(pid=[9])])
    log.execs(range(1, 9))
    assert everything(feed) == []
    assert feed.events_behind == 0
    log.exec(9)
    assert pids(everything(feed)) == [9]


def test_a_filter_without_end_is_ended(log: Log, restored: None) -> None:
    FILTER_LIMIT.install()
    feed = feed_of(log, allow_list=[events_pb2.Filter(arguments_regex=["(a+)+$"])])
    log.exec(1, arguments="a" * 60 + "b")
    with pytest.raises(TooSlow):
        everything(feed)


def test_the_same_message_is_made_once_for_all(log: Log) -> None:
    head = Head(str(log.directory))
    wish = Wish(EventFilter(events_pb2.GetEventsRequest()), FieldSelection([]), expanded=False)
    shared = Encoded()
    feeds = [Feed(head, str(log.directory), wish, shared, None) for _ in range(2)]
    log.execs(range(Encoded.MOST + 20))
    assert everything(feeds[0]) == everything(feeds[1])
    assert len(shared._frames) == Encoded.MOST


@pytest.fixture
def restored() -> Iterator[None]:
    before = signal.getsignal(signal.SIGVTALRM)
    yield
    signal.signal(signal.SIGVTALRM, before)


POD = {"namespace": "shop", "name": "web-1"}


def pending_exec(log: Log, pid: int, container: str = "c0" * 32) -> None:
    """An event of just now, whose pod is not known yet."""
    log.sequence += 1
    process = {"exec_id": "a", "pid": pid, "docker": container[:31]}
    own = {"sequence": log.sequence, "container": {"id": container, "state": "pending"}}
    body = {"process_exec": {"process": process}}
    log._append({**body, "node_name": "n1", "time": format_time(time.time_ns()), "tracehound": own})


def holding_feed(log: Log, hold_s: float) -> Feed:
    wish = Wish(EventFilter(events_pb2.GetEventsRequest()), FieldSelection([]), expanded=False)
    return Feed(Head(str(log.directory)), str(log.directory), wish, Encoded(), None, hold_s)


def test_an_event_waits_for_its_pod_and_those_behind_it_wait_with_it(log: Log) -> None:
    feed = holding_feed(log, 30)
    pending_exec(log, 1)
    assert everything(feed) == [] and feed.is_holding
    log.exec(2)
    assert everything(feed) == []
    log.own("container_update", {"id": "c0" * 32, "state": "known", "pod": POD})
    found = everything(feed)
    assert [one.process_exec.process.pod.name for one in found] == ["web-1", ""]
    assert pids(found) == [1, 2] and not feed.is_holding


def test_it_waits_no_longer_than_it_was_told(log: Log) -> None:
    feed = holding_feed(log, 0.05)
    pending_exec(log, 1)
    assert everything(feed) == []
    time.sleep(0.06)
    assert pids(everything(feed)) == [1]


def test_a_client_that_skips_ahead_gets_what_waited_first(log: Log) -> None:
    feed = holding_feed(log, 30)
    pending_exec(log, 1)
    assert everything(feed) == []
    log.execs(range(2, 50))
    found = everything(feed, most_behind=10)
    assert pids(found[:1]) == [1] and dropped(found[1:]) == [48]


def test_what_a_client_without_the_pod_was_sent_is_not_sent_to_one_with_it(log: Log) -> None:
    head, shared = Head(str(log.directory)), Encoded()
    wish = Wish(EventFilter(events_pb2.GetEventsRequest()), FieldSelection([]), expanded=False)
    first = Feed(head, str(log.directory), wish, shared, None, 30)
    pending_exec(log, 1)
    assert everything(first) == []
    late = Feed(head, str(log.directory), wish, shared, None, 30)
    log.exec(2, docker=("c0" * 32)[:31])
    assert [one.process_exec.process.pod.name for one in everything(late)] == [""]
    log.own("container_update", {"id": "c0" * 32, "state": "known", "pod": POD})
    assert [one.process_exec.process.pod.name for one in everything(first)] == ["web-1", "web-1"]
