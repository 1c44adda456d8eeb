# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from exporters.formats.detection import read
from exporters.formats.facts import Facts
from tests.exporters.formats.records import PARENT, PROCESS, detection, found


def test_rule_and_event_of_a_detection() -> None:
    found = read(Facts(detection()))
    assert (found.title, found.uid, found.rules) == ("Reverse shell", "d1", (("r2", "Other"),))
    assert found.process == PROCESS and found.event is not None and found.event.function == "tcp_connect"


def test_a_detection_without_an_id_has_one_that_stays_the_same() -> None:
    assert read(Facts(detection(id=None, rule="r9"))).uid == "r9/n1/6"


def test_what_is_of_a_wrong_type_is_left_out() -> None:
    found = read(Facts(detection(rule=[7], tags=[7, "attack.t1105"], rules="x", event=3, title=9)))
    assert (found.title, found.tags, found.rules) == ("untitled rule", ("attack.t1105",), ())
    assert found.event is None and found.process is None


def test_what_the_agent_writes_is_read() -> None:
    told = read(Facts(found()))
    assert (told.title, told.rule_version, told.story[:4]) == ("Reverse shell", "0123456789ab", "3fa9")
    assert (told.rules, told.description) == ((("r2", "Other"),), "A shell whose ends are a socket.")
    assert told.event is not None and told.event.type == "process_exec"


def test_the_ancestry_of_a_detection_is_that_of_its_processes() -> None:
    assert Facts(found()).ancestry() == [PARENT["exec_id"], PARENT["parent_exec_id"]]
    assert Facts(found(ancestors=[3, {}, {"exec_id": 4}])).ancestry() == []
    assert Facts(detection()).ancestry() is None
