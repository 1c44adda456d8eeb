# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from exporters.formats.cef import Cef, header_text, value_text
from tests.exporters.formats.checks import cef_fields
from tests.exporters.formats.everything import ORIGIN
from tests.exporters.formats.records import call, detection, exec_event, exit_event, file, found, own, sock


def fields(record: dict[str, Any]) -> dict[str, str]:
    return cef_fields(Cef()(record, ORIGIN))


def test_the_header_escapes_pipes_and_backslashes_and_has_no_line_breaks() -> None:
    assert header_text("a|b\\c=d\r\ne") == "a\\|b\\\\c=d  e"


def test_values_escape_equals_signs_backslashes_and_line_breaks() -> None:
    assert value_text("a|b\\c=d\r\ne") == "a|b\\\\c\\=d\\r\\ne"


def test_hostile_arguments_come_back_as_they_were() -> None:
    hostile = "x=1 cs1=forged | \\ \\n\nCEF:0|a|b \ufffd"
    assert fields(exec_event(arguments=hostile))["cs6"] == f"/bin/cat {hostile}"


def test_a_name_cannot_break_the_header() -> None:
    found = fields(detection(rule={"id": "a|b", "title": "x|9|\nsrc=1.2.3.4"}))
    assert found["class"] == "a\\|b" and found["severity"] == "8" and "src" in found


def test_who_did_what_to_whom() -> None:
    found = fields(exec_event())
    assert (found["dproc"], found["dpid"], found["sproc"], found["spid"]) == (
        "/bin/cat",
        "60",
        "/bin/bash",
        "50",
    )
    assert found["cs5"] == "bash < ?" and found["cs5Label"] == "ancestors"


def test_files_and_what_was_done_to_the_call() -> None:
    found = fields(call("security_file_open", file("/etc/shadow"), did=["Signal SIGKILL"]))
    assert (found["class"], found["filePath"], found["fname"]) == ("file:open", "/etc/shadow", "shadow")
    assert (found["act"], found["outcome"], found["severity"]) == ("Signal SIGKILL", "failure", "6")


def test_addresses_by_their_version_and_the_direction() -> None:
    found = fields(call("tcp_connect", sock()))
    assert (found["src"], found["dst"], found["dpt"], found["deviceDirection"]) == (
        "10.0.0.5",
        "203.0.113.7",
        "443",
        "1",
    )
    accepted = fields(call("inet_csk_accept", sock(saddr="::1", sport=22, daddr="::2", dport=9)))
    assert (accepted["c6a2"], accepted["c6a3"], accepted["dpt"], accepted["deviceDirection"]) == (
        "::2",
        "::1",
        "22",
        "0",
    )


def test_texts_end_where_the_standard_says() -> None:
    found = fields(call("security_file_open", file("/" + "x" * 5000)))
    assert len(found["filePath"]) == 1023
    assert len(fields(exec_event(arguments="y" * 9000))["cs6"]) == 4000


def test_losses_and_heartbeats_have_lines_with_their_numbers() -> None:
    assert fields(own("loss"))["cn3"] == "7" and fields(own("heartbeat"))["cn1"] == "5"


def test_the_end_of_a_process() -> None:
    assert (
        fields(exit_event(status=3))["cn2"] == "3"
        and fields(exit_event(signal="SIGKILL"))["reason"] == "SIGKILL"
    )


def test_a_detection_names_the_ancestors_that_it_brings_along() -> None:
    line = fields(found())
    assert (line["cs5"], line["cs3"], line["sproc"]) == ("bash < init", "Reverse shell", "/bin/cat")
