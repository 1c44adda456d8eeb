# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from exporters.formats.facts import Facts, File, credentials, login_uid, milliseconds
from tests.exporters.formats.records import call, detection, exec_event, exit_event, file, own, sock


@pytest.mark.parametrize(
    ("record", "kind", "name"),
    [
        (exec_event(), "exec", "process_exec"),
        (exit_event(), "exit", "process_exit"),
        (call("tcp_connect"), "policy", "process_kprobe"),
        (own("fork"), "fork", "fork"),
        (own("loss"), "own", "loss"),
        (detection(), "detection", "detection"),
        ({"test": {"events": []}}, "own", "test"),
    ],
)
def test_a_record_is_named_by_its_key(record: dict[str, Any], kind: str, name: str) -> None:
    facts = Facts(record)
    assert (facts.kind, facts.type) == (kind, name)


def test_files_are_the_arguments_that_have_a_path() -> None:
    facts = Facts(call("security_file_open", {"int_arg": 1}, file("/etc/shadow", "-rw-r-----")))
    assert facts.files() == [File("/etc/shadow", "file", "-rw-r-----")]


def test_a_directory_and_the_name_in_it_are_one_file() -> None:
    args = [
        {"path_arg": {"path": path}, "label": label}
        for path, label in (("/etc", "into"), ("/shadow", "name"))
    ]
    assert [one.path for one in Facts(call("security_path_rename", *args)).files()] == ["/etc/shadow"]


def test_the_first_text_of_a_system_call_on_files_is_the_path() -> None:
    facts = Facts(call("sys_openat", {"int_arg": -100}, {"string_arg": "/etc/shadow"}))
    assert [one.path for one in facts.files()] == ["/etc/shadow"]


def test_a_file_without_a_name_is_deleted() -> None:
    record = call("security_file_open", file("/tmp/x (deleted)"))
    record["tracehound"]["inode"] = {"args.0": {"number": "5", "links": 0}}
    assert Facts(record).files()[0].is_deleted


@pytest.mark.parametrize(
    ("permission", "mode"),
    [("-rw-r-----", "0640"), ("-rwsr-xr-x", "4755"), ("drwxrwxrwT", "1776"), ("?", "")],
)
def test_permissions_in_octal(permission: str, mode: str) -> None:
    assert File("/x", permission=permission).mode == mode


def test_a_socket_has_two_ends_and_a_protocol() -> None:
    found = Facts(call("tcp_connect", sock())).socket()
    assert found is not None
    assert (found.local, found.local_port, found.peer, found.peer_port) == (
        "10.0.0.5",
        40000,
        "203.0.113.7",
        443,
    )
    assert (found.protocol, found.protocol_number, found.family) == ("tcp", 6, "ipv4")


def test_the_socket_that_accept_returned_is_found() -> None:
    assert Facts(call("inet_csk_accept", **{"return": sock()})).socket() is not None


def test_what_is_no_address_or_port_is_malformed() -> None:
    facts = Facts(call("tcp_connect", sock(saddr="x", dport=70000)))
    found = facts.socket()
    assert found is not None and (found.local, found.peer_port) == ("", 0)
    assert facts.malformed == ["saddr", "dport"]


def test_what_was_done_is_told_by_the_policy_else_by_the_action() -> None:
    assert Facts(call("x", did=["Signal SIGKILL"])).done() == ["Signal SIGKILL"]
    assert (
        Facts(call("x", action="KPROBE_ACTION_SIGKILL", mode="monitor", would=["Signal SIGKILL"])).done()
        == []
    )
    other = call("x", action="KPROBE_ACTION_SIGKILL")
    del other["tracehound"]
    assert Facts(other).done() == ["SIGKILL"]


def test_an_event_without_a_time_has_that_of_its_process() -> None:
    record = exec_event()
    del record["time"]
    facts = Facts(record)
    assert facts.time_ns == 1767225604 * 10**9 and facts.malformed == ["time"]


def test_ids_and_times_that_are_none() -> None:
    record = exec_event()
    record["tracehound"]["cred"] = [0, 0, 1, 0, 0, 0, 0, 0]
    assert credentials(Facts(record))[2] == 1 and credentials(Facts(exec_event())) == []
    assert login_uid({"auid": 0xFFFFFFFF}) is None and login_uid({"auid": 0}) == 0
    assert milliseconds("yesterday") is None and milliseconds("2026-01-01T00:00:00.5Z") == 1767225600500
