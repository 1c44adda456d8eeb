# SPDX-License-Identifier: Apache-2.0
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.store.flat import COLUMNS, event_values, flatten
from agent.store.schema import EVENT

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
PROCESS: dict[str, Any] = {"exec_id": "e2", "pid": 2, "uid": 0, "binary": "/bin/sh", "parent_exec_id": "e1"}


def row(record: dict[str, Any]) -> dict[str, Any]:
    values = dict(zip(COLUMNS, flatten(record, "boot"), strict=True))
    return {name: value for name, value in values.items() if value is not None}


def kprobe(*args: dict[str, Any]) -> dict[str, Any]:
    event = {"process": PROCESS, "function_name": "f", "policy_name": "p", "action": "A", "args": args}
    return {
        "process_kprobe": event,
        "node_name": "n",
        "time": "2026-01-01T00:00:00Z",
        "tracehound": {"sequence": 3},
    }


def test_an_exec_fills_the_columns_of_its_process() -> None:
    line = (GOLDEN / "exec" / "plain.jsonl").read_bytes().splitlines()[1]
    record = orjson.loads(line)
    found = row(record)
    assert found["time"] == 1767233049_174801768
    assert (found["sequence"], found["type"], found["node"]) == (2, "process_exec", "golden")
    assert found["ancestry"] == record["tracehound"]["ancestry"]
    assert (found["exe"], found["args"], found["user"]) == ("/bin/ls", "-l /dev/null", "root")
    assert (found["parent_exe"], found["cwd"]) == ("/bin/sh", "/tmp/golden")


def test_an_exit_has_signal_and_status_and_no_ancestry() -> None:
    event = {"process": PROCESS, "signal": "SIGKILL"}
    found = row({"process_exit": event, "tracehound": {"sequence": 1, "ancestry": ["e1"]}})
    assert (found["signal"], found["status"], found["type"]) == ("SIGKILL", 0, "process_exit")
    assert "ancestry" not in found


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.jsonl")), ids=lambda path: path.stem)
def test_the_values_of_an_event_alone_are_those_of_its_record(path: Path) -> None:
    for line in path.read_bytes().splitlines():
        record = orjson.loads(line)
        kind = next(iter(record))
        if kind not in ("process_exec", "tracehound"):
            whole = dict(zip(COLUMNS, flatten(record, ""), strict=True))
            found = event_values(kind, record[kind], record["tracehound"])
            assert dict(zip(EVENT, found, strict=True)) == {name: whole[name] for name in EVENT}


def test_a_detection_is_about_its_process() -> None:
    content = {"id": "1", "rule": "r", "level": "high", "event": 7, "process": PROCESS}
    found = row({"tracehound": {"sequence": 4, "detection": content}, "node_name": "n"})
    assert (found["type"], found["sequence"], found["exec_id"], found["pid"]) == ("detection", 4, "e2", 2)
    assert (found["rule"], found["level"], found["exe"]) == ("r", "high", "/bin/sh")


def test_the_rule_of_a_detection_is_told_by_its_title() -> None:
    content = {"rule": {"id": "1-2", "title": "Reverse Shell"}, "level": "high", "process": PROCESS}
    found = row({"tracehound": {"sequence": 4, "detection": content}, "node_name": "n"})
    assert (found["rule"], found["level"]) == ("Reverse Shell", "high")


@pytest.mark.parametrize(
    "content", [{"rule": "r"}, {"rule": "r", "process": None}, {"rule": "r", "process": 1}]
)
def test_a_detection_without_a_process_keeps_its_rule(content: dict[str, Any]) -> None:
    found = row({"tracehound": {"sequence": 4, "detection": content}})
    assert (found["type"], found["rule"]) == ("detection", "r")


@pytest.mark.parametrize("member", ["file_arg", "path_arg", "linux_binprm_arg", "sockaddrun_arg"])
def test_the_first_file_is_the_path(member: str) -> None:
    found = row(
        kprobe({"string_arg": "/x"}, {"int_arg": 1}, {member: {"path": "/a"}}, {member: {"path": "/b"}})
    )
    assert (found["path"], found["function"], found["policy"], found["action"]) == ("/a", "f", "p", "A")


def test_a_text_that_is_a_path_stands_in_for_a_file() -> None:
    assert row(kprobe({"string_arg": "x"}, {"string_arg": "/etc/x", "label": "name"}))["path"] == "/etc/x"


def test_a_socket_gives_the_peer_and_the_own_end() -> None:
    socket = {
        "protocol": "IPPROTO_TCP",
        "saddr": "10.0.0.1",
        "sport": 4000,
        "daddr": "192.0.2.7",
        "dport": 443,
    }
    found = row(kprobe({"sock_arg": {}}, {"sock_arg": socket}))
    assert (found["address"], found["port"], found["protocol"]) == ("192.0.2.7", 443, "tcp")
    assert (found["local_address"], found["local_port"]) == ("10.0.0.1", 4000)


def test_a_sockaddr_gives_the_peer_alone() -> None:
    found = row(kprobe({"sockaddr_arg": {"family": "AF_INET6", "addr": "2001:db8::1", "port": 53}}))
    assert (found["address"], found["port"]) == ("2001:db8::1", 53)
    assert "local_port" not in found


def test_a_pod_names_container_and_workload() -> None:
    container = {"id": "containerd://abcdef", "image": {"name": "docker.io/nginx:1"}}
    pod = {"namespace": "shop", "name": "web-1", "workload": "web", "container": container}
    found = row({"process_exec": {"process": PROCESS | {"docker": "abc", "pod": pod}}})
    names = ("container", "image", "namespace", "pod", "workload")
    assert [found[name] for name in names] == ["abcdef", "docker.io/nginx:1", "shop", "web-1", "web"]


def test_without_a_pod_the_container_is_what_the_kernel_told() -> None:
    assert row({"process_exec": {"process": PROCESS | {"docker": "abc"}}})["container"] == "abc"


def test_a_tracepoint_and_a_uprobe_have_functions_too() -> None:
    tracepoint = {"process": PROCESS, "subsys": "raw_syscalls", "event": "sys_exit"}
    uprobe = {"process": PROCESS, "path": "/bin/bash", "symbol": "readline"}
    assert row({"process_tracepoint": tracepoint})["function"] == "raw_syscalls/sys_exit"
    found = row({"process_uprobe": uprobe})
    assert (found["function"], found["path"]) == ("readline", "/bin/bash")


def test_an_own_record_is_a_row_of_its_kind() -> None:
    own = {
        "tracehound": {"sequence": 9, "loss": {"count": 4}},
        "node_name": "n",
        "time": "2026-01-01T00:00:00.5Z",
    }
    assert row(own) == {
        "time": 1767225600_500000000,
        "sequence": 9,
        "boot_id": "boot",
        "type": "loss",
        "node": "n",
    }


def test_a_fork_record_names_its_process() -> None:
    own = {"tracehound": {"sequence": 9, "fork": {"process": PROCESS}}, "node_name": "n"}
    found = row(own)
    assert (found["type"], found["sequence"], found["exec_id"]) == ("fork", 9, "e2")


@pytest.mark.parametrize(
    "record", [{}, {"tracehound": {}}, {"process_kprobe": {"args": []}}, {"x": {}, "time": "?"}]
)
def test_a_record_that_lacks_everything_is_a_row_all_the_same(record: dict[str, Any]) -> None:
    assert len(flatten(record, "")) == len(COLUMNS)
