# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import orjson

from exporters.formats.ecs import Ecs
from tests.exporters.formats.everything import ORIGIN
from tests.exporters.formats.records import (
    PARENT,
    POD,
    call,
    detection,
    exec_event,
    exit_event,
    file,
    found,
    own,
    sock,
)


def document(record: dict[str, Any], make: Ecs | None = None) -> Any:
    return orjson.loads((make or Ecs())(record, ORIGIN))


def test_an_exec_is_the_start_of_a_process() -> None:
    found = document(exec_event(pod=POD))
    assert (found["event"]["category"], found["event"]["type"]) == (["process"], ["start"])
    assert found["process"]["args"] == ["cat", "/etc/shadow"] and found["process"]["parent"]["pid"] == 50
    assert found["orchestrator"]["resource"]["name"] == "web-1" and found["container"]["name"] == "nginx"


def test_a_process_that_was_there_before_the_agent_has_not_started_now() -> None:
    assert document(exec_event(flags="procFS"))["event"]["type"] == ["info"]


def test_an_exit_has_its_end() -> None:
    found = document(exit_event(status=3))["process"]
    assert (found["exit_code"], found["end"]) == (3, "2026-01-01T00:00:05.000000001Z")


def test_the_side_that_began_a_connection_is_the_source() -> None:
    out, into = document(call("tcp_connect", sock())), document(call("inet_csk_accept", sock()))
    assert (out["source"]["ip"], out["network"]["direction"]) == ("10.0.0.5", "egress")
    assert (into["source"]["ip"], into["network"]["direction"]) == ("203.0.113.7", "ingress")


def test_a_call_that_was_stopped_is_denied() -> None:
    event = document(call("security_file_open", file("/etc/shadow"), did=["Override EPERM"]))["event"]
    assert (event["outcome"], event["type"]) == ("failure", ["access", "denied"])
    assert event["category"] == ["file", "intrusion_detection"]


def test_a_detection_is_an_alert_with_rule_and_technique() -> None:
    found = document(detection())
    assert (found["event"]["kind"], found["rule"]["name"]) == ("alert", "Reverse shell")
    assert found["threat"]["technique"] == {"id": ["T1059"], "subtechnique": {"id": ["T1059.004"]}}
    assert found["destination"]["ip"] == "203.0.113.7" and found["event"]["severity"] == 73


def test_a_loss_is_an_error_of_the_pipeline() -> None:
    found = document(own("loss"))
    assert (found["event"]["kind"], found["tracehound"]["loss"]["count"]) == ("pipeline_error", 7)


def test_the_id_of_an_event_is_that_of_its_document() -> None:
    assert document(exec_event())["event"]["id"] == f"n1/{ORIGIN.boot_id}/4"


def test_the_user_of_an_exec_stands_in_later_events_of_the_process() -> None:
    make, first = Ecs(), exec_event()
    first["tracehound"]["user"] = "alice"
    make.learn(first)
    assert document(call("tcp_connect", sock()), make)["user"] == {"id": "1000", "name": "alice"}


def test_the_thread_that_called_is_told() -> None:
    record = call("tcp_connect", sock())
    record["process_kprobe"]["process"] = record["process_kprobe"]["process"] | {"tid": 61}
    assert document(record)["process"]["thread"] == {"id": 61}


def test_one_mask_is_what_is_permitted_and_effective() -> None:
    record = exec_event()
    record["tracehound"]["cap"] = "3"
    held = document(record)["process"]["thread"]["capabilities"]
    assert held["permitted"] == held["effective"] == ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]


def test_a_detection_has_its_story_its_parent_and_its_ancestry() -> None:
    told = document(found())
    assert told["process"]["parent"]["pid"] == 50 and told["event"]["severity"] == 99
    assert told["tracehound"]["detection"]["story"].startswith("3fa9")
    assert told["tracehound"]["ancestry"] == [PARENT["exec_id"], PARENT["parent_exec_id"]]
    assert "ancestors" not in told["tracehound"]["detection"]
