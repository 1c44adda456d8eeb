# SPDX-License-Identifier: Apache-2.0
from typing import Any

import orjson
import pytest

from exporters.documents import NoRecord, Parsing, document, raw_maker
from exporters.formats import make_format
from exporters.joining import Joining
from exporters.selecting import Selecting, check_filter
from tests.exporters.eventlog import EventLog


def parsing(form: str = "json", **given: Any) -> Parsing:
    return Parsing(check_filter(given), None if form == "json" else make_format(form), Joining(0))


def test_a_line_that_is_not_parsed_gives_the_same_document_but_for_record_and_key(
    event_log: EventLog,
) -> None:
    event_log.exec('/bin/\u00e9"\\')
    event_log.own("loss", cause="ring_full", count=3)
    raw = raw_maker(Selecting())
    for line in event_log.lines():
        full = parsing().make(line, "boot-a")
        assert full is not None
        assert raw(line, "boot-a") == full._replace(record={}, key="n1")
        assert full.body == line


def test_a_line_in_another_order_is_understood_all_the_same() -> None:
    line = b'{"tracehound":{"loss":{},"sequence":9},"time":"2026-01-01T00:00:00Z","node_name":"n\\"1"}'
    made = raw_maker(Selecting())(line, "b")
    assert made is not None and (made.type, made.sequence, made.node_name) == ("loss", 9, 'n"1')


@pytest.mark.parametrize(
    "line", [b"", b"garbage", b"{}", b'{"process_exec":{}}', b'{"process_exec":{"a"', b"[1]"]
)
def test_what_is_no_record_is_told(line: bytes) -> None:
    for make in (raw_maker(Selecting()), parsing().make):
        with pytest.raises(NoRecord):
            make(line, "")


def test_types_are_told_from_the_beginning_of_a_line(event_log: EventLog) -> None:
    event_log.exec()
    event_log.exec(kind="process_exit")
    event_log.own("loss", count=1)
    kinds = [
        [made.type for line in event_log.lines() if (made := make(line, ""))]
        for make in (raw_maker(check_filter({"types": ["process_exit", "loss"]})),
                     parsing(types=["process_exit", "loss"]).make)
    ]  # fmt: skip
    assert kinds == [["process_exit", "loss"]] * 2


def test_what_belongs_together_has_one_key() -> None:
    record = {"process_exec": {"process": {"exec_id": "e", "docker": "c"}}, "tracehound": {"sequence": 1}}
    assert document(record, b"", "").key == "c"
    del record["process_exec"]["process"]["docker"]  # type: ignore[attr-defined]
    assert document(record, b"", "").key == "e"
    assert document({"tracehound": {"sequence": 1, "loss": {}}, "node_name": "n1"}, b"", "").key == "n1"


def test_selected_fields_are_encoded_anew(event_log: EventLog) -> None:
    event_log.exec(cwd="/root")
    made = parsing(fields=[{"fields": "process.cwd"}]).make(event_log.lines()[-1], "")
    assert made is not None and orjson.loads(made.body)["process_exec"] == {"process": {"cwd": "/root"}}
    assert made.record == orjson.loads(made.body)


def test_a_format_learns_from_what_is_left_out(event_log: EventLog) -> None:
    event_log.exec("/bin/sh", exec_id="p1")
    event_log.exec("/bin/sh", kind="process_exit", exec_id="p1")
    way = parsing("expanded", types=["process_exit"])
    made = [one for line in event_log.lines() if (one := way.make(line, "boot-a"))]
    assert len(made) == 1 and b"process_credentials" in made[0].body


def test_a_filter_by_capabilities_judges_the_expanded_form(event_log: EventLog) -> None:
    event_log.exec()
    deny = [{"capabilities": {"permitted": {"none": ["CAP_SYS_ADMIN"]}}}]
    way = parsing(deny=deny)
    made = [way.make(line, "boot-a") for line in event_log.lines()]
    assert way.needs_history and [one.type if one else None for one in made] == ["segment", None]


def test_uids_of_records_that_a_runner_makes_differ_from_those_of_the_log() -> None:
    record = {"tracehound": {"sequence": 4, "loss": {}}, "node_name": "n1"}
    made = document(record, b"", "boot-a")
    assert (made.uid, made._replace(type="notice").uid) == ("n1/boot-a/4", "n1/boot-a/4/notice")
