# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import orjson
import pytest

from exporters.formats.ocsf import Ocsf
from tests.exporters.formats.everything import ORIGIN
from tests.exporters.formats.records import call, detection, exec_event, exit_event, file, own, sock


def document(record: dict[str, Any], make: Ocsf | None = None) -> Any:
    return orjson.loads((make or Ocsf())(record, ORIGIN))


@pytest.mark.parametrize(
    ("record", "type_uid"),
    [
        (exec_event(), 100701),
        (exec_event(flags="procFS"), 100799),
        (exit_event(), 100702),
        (own("fork"), 100701),
        (call("security_file_open", file("/x")), 100114),
        (call("security_path_unlink", file("/x")), 100104),
        (call("security_sb_mount", file("/x")), 100112),
        (call("tcp_connect", sock()), 400101),
        (call("tcp_connect", sock(), **{"return": {"int_arg": -111}}), 400104),
        (call("inet_csk_listen_start", sock()), 400107),
        (call("security_task_fix_setuid"), 100705),
        (call("do_init_module"), 100201),
        (call("security_bpf"), 100304),
        (call("__x64_sys_mprotect"), 100402),
        (detection(), 200401),
        (own("loss"), 99),
    ],
)
def test_a_record_is_of_its_class(record: dict[str, Any], type_uid: int) -> None:
    assert document(record)["type_uid"] == type_uid


def test_an_exec_was_launched_by_its_parent() -> None:
    found = document(exec_event())
    assert (found["process"]["pid"], found["actor"]["process"]["pid"]) == (60, 50)
    assert found["launch_type"] == "Exec" and len(found["process"]["ancestry"]) == 2


def test_a_killed_process_has_no_exit_code() -> None:
    assert document(exit_event(status=3))["exit_code"] == 3
    killed = document(exit_event(signal="SIGKILL"))
    assert "exit_code" not in killed and killed["status_detail"] == "SIGKILL"


def test_what_a_policy_stopped_was_denied() -> None:
    found = document(call("security_file_open", file("/etc/shadow"), did=["Override EPERM"]))
    assert (found["action"], found["disposition"], found["status_detail"]) == (
        "Denied",
        "Blocked",
        "Override EPERM",
    )
    assert found["policy"] == {"name": "p"} and found["severity"] == "Medium"


def test_the_target_of_a_trace_is_the_process_that_the_arguments_name() -> None:
    args = {"int_arg": 77, "label": "pid"}, {"string_arg": "sshd", "label": "comm"}
    found = document(call("security_ptrace_access_check", *args))
    assert found["process"] == {"pid": 77, "name": "sshd"} and found["actor"]["process"]["pid"] == 60


def test_the_thread_that_called_is_told() -> None:
    record = call("tcp_connect", sock())
    record["process_kprobe"]["process"] = record["process_kprobe"]["process"] | {"tid": 61}
    assert document(record)["actor"]["process"]["ptid"] == 61


def test_a_loss_has_its_count_and_its_time() -> None:
    found = document(own("loss"))
    assert (found["count"], found["status"], found["start_time"]) == (7, "Failure", 1767225605000)
    assert found["unmapped"]["loss"]["cause"] == "ring_full"


def test_sequence_and_uid_are_those_of_the_log() -> None:
    metadata = document(exec_event())["metadata"]
    assert (metadata["sequence"], metadata["uid"]) == (4, f"n1/{ORIGIN.boot_id}/4")


def test_the_device_is_the_node_of_the_segment() -> None:
    make = Ocsf()
    make.learn(own("segment"))
    device = document(exec_event(), make)["device"]
    assert (device["hostname"], device["uid"], device["os"]["kernel_release"]) == ("n1", "m", "6.1.0")


def test_what_is_malformed_is_named() -> None:
    assert document(exec_event(pid="x"))["unmapped"]["malformed"] == ["process.pid"]
    assert (
        document(call("x") | {"tracehound": {"sequence": 1, "y": "\ud800"}})["activity_name"] == "Malformed"
    )
