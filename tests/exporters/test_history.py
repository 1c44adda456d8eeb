# SPDX-License-Identifier: Apache-2.0
from agent.log.entry import Cursor
from exporters.history import learn_back
from tests.exporters.eventlog import EventLog


def test_what_tells_of_processes_before_the_place_is_learnt(event_log: EventLog) -> None:
    event_log.execs(3)
    event_log.own("heartbeat", events=1)
    event_log.rotate()
    event_log.execs(2)
    place = Cursor(event_log.path.name, event_log.path.stat().st_size, event_log.sequence)
    event_log.execs(4)
    learnt: list[object] = []
    assert learn_back(event_log.directory, place, learnt.append) == len(learnt) == 7


def test_before_the_beginning_there_is_nothing_to_learn(event_log: EventLog) -> None:
    event_log.execs(3)
    assert learn_back(event_log.directory, Cursor("", 0, 0), [].append) == 0
