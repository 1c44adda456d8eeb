# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from exporters.formats.otel import otel
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


def test_an_exec_has_the_attributes_of_its_process() -> None:
    event = otel(exec_event(pod=POD))
    assert event.name == "tracehound.process.exec" and event.severity_text == "INFO"
    wanted = {
        "process.pid": 60,
        "process.parent_pid": 50,
        "process.executable.path": "/bin/cat",
        "process.command_args": ["cat", "/etc/shadow"],
        "k8s.pod.name": "web-1",
        "k8s.deployment.name": "web",
        "container.image.name": "nginx:1",
    }
    assert event.attributes.items() >= wanted.items()


def test_an_exit_has_a_code_or_a_signal() -> None:
    assert otel(exit_event(status=3)).attributes["process.exit.code"] == 3
    assert otel(exit_event(signal="SIGKILL")).attributes["tracehound.signal"] == "SIGKILL"


def test_calls_are_named_by_what_was_done() -> None:
    opened, connected = (
        otel(call("security_file_open", file("/etc/shadow"))),
        otel(call("tcp_connect", sock())),
    )
    assert (opened.name, opened.attributes["file.path"]) == ("tracehound.file.open", "/etc/shadow")
    assert (connected.name, connected.attributes["network.peer.port"]) == ("tracehound.network.connect", 443)
    assert connected.attributes["network.transport"] == "tcp"


def test_what_a_policy_stopped_is_a_warning() -> None:
    assert otel(call("tcp_connect", did=["Override EPERM"])).severity_number == 13


def test_a_detection_has_its_rule_and_its_process() -> None:
    event = otel(detection())
    assert (event.name, event.severity_text) == ("tracehound.detection", "ERROR")
    assert event.attributes["security_rule.name"] == "Reverse shell" and event.attributes["process.pid"] == 60
    assert event.attributes["tracehound.attack.techniques"] == ["T1059.004"]


def test_a_loss_is_an_event_with_its_count() -> None:
    event = otel(own("loss"))
    assert (event.name, event.severity_text, event.attributes["tracehound.loss.count"]) == (
        "tracehound.loss",
        "WARN",
        7,
    )


def test_times_and_body() -> None:
    event = otel(exec_event())
    assert event.time_ns == event.observed_ns == 1767225605000000001
    assert event.body == "exec /bin/cat /etc/shadow"


def test_a_detection_has_its_story_and_its_ancestry() -> None:
    attributes = otel(found()).attributes
    assert attributes["tracehound.detection.story"].startswith("3fa9")
    assert attributes["tracehound.ancestry"] == [PARENT["exec_id"], PARENT["parent_exec_id"]]
