# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from exporters.formats.lineage import Lineage
from tests.exporters.formats.records import PARENT, PROCESS, call, exec_event, exit_event, own


def test_an_exec_makes_a_process_and_its_parent_known() -> None:
    lineage = Lineage()
    lineage.learn(exec_event())
    process, parent = lineage.image(PROCESS["exec_id"]), lineage.image(PARENT["exec_id"])
    assert process is not None and process.binary == "/bin/cat"
    assert parent is not None and parent.binary == "/bin/bash"


def test_the_user_of_an_exec_is_told_in_later_events_too() -> None:
    lineage, event = Lineage(), exec_event()
    event["tracehound"]["user"] = "alice"
    lineage.learn(event)
    later = call("tcp_connect")["process_kprobe"]["process"]
    assert lineage.subject(later).user == "alice"


def test_a_process_is_read_once_as_long_as_it_stays_the_same() -> None:
    lineage = Lineage()
    first = lineage.subject(PROCESS)
    assert lineage.subject(PROCESS | {"tid": 61}) is first
    assert lineage.subject(PROCESS | {"docker": "0123"}) is not first


def test_those_that_have_exited_are_forgotten_first() -> None:
    lineage = Lineage(most=2)
    lineage.learn(exec_event())
    lineage.learn(exit_event())
    lineage.learn(exec_event(exec_id="third"))
    assert lineage.image(PROCESS["exec_id"]) is None
    assert lineage.image(PARENT["exec_id"]) is not None and len(lineage) == 2


def test_ancestors_are_followed_where_a_record_does_not_list_them() -> None:
    lineage = Lineage()
    lineage.learn(exec_event())
    assert lineage.ancestry(lineage.subject(PROCESS)) == [PARENT["exec_id"], PARENT["parent_exec_id"]]


def test_a_cycle_of_parents_ends() -> None:
    lineage = Lineage()
    lineage.learn(exec_event(parent_exec_id=PARENT["exec_id"]))
    looped = exec_event(exec_id=PARENT["parent_exec_id"], parent_exec_id=PARENT["exec_id"])
    lineage.learn(looped)
    assert len(lineage.ancestry(lineage.subject(PROCESS))) == 2


def test_another_boot_knows_nobody() -> None:
    lineage = Lineage()
    lineage.learn(exec_event())
    lineage.learn(own("segment"))
    assert lineage.image(PROCESS["exec_id"]) is None
    assert (lineage.boot_id, lineage.machine_id, lineage.kernel) == ("b", "m", "6.1.0")


def test_what_becomes_known_after_it_was_asked_for_begins_an_epoch() -> None:
    lineage = Lineage()
    lineage.image(PROCESS["exec_id"])
    before = lineage.epoch
    lineage.learn(exec_event())
    assert lineage.epoch == before + 1


def test_a_process_of_wrong_types_is_known_by_what_is_right() -> None:
    lineage = Lineage()
    lineage.learn(exec_event(pid="x", binary=7))
    image = lineage.image(PROCESS["exec_id"])
    assert image is not None and (image.pid, image.binary, image.arguments) == (0, "", "/etc/shadow")
