# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from agent.api.convert import EVENT_NUMBERS, Unconvertible, event_type, to_response
from agent.api.proto.tetragon import events_pb2, tetragon_pb2
from tests.agent.api.support import TIME, process

RECORDED = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "tetragon-events"

PROCESSES: list[dict[str, Any]] = [
    process(5, cwd="/tmp"),
    {"start_time": "2026-01-01T00:00:00Z", "in_init_tree": False},
    {"cap": {"permitted": ["CAP_CHOWN", "DAC_OVERRIDE"]}, "refcnt": 3},
    {"ns": {"mnt": {"inum": 4026531841, "is_host": True}}},
    {"pod": {"pod_labels": {"a": "b"}, "container": {"pid": 7}}},
    {"environment_variables": [{"Key": "A", "Value": "b"}]},
    {"binary_properties": {"setuid": 0, "file": {"inode": {"number": "77", "links": 0}}}},
]
ARGUMENTS: list[dict[str, Any]] = [
    {"size_arg": "18446744073709551615"},
    {"long_arg": "-5"},
    {"bytes_arg": "aGVsbG8="},
    {"int_arg": -3, "label": "x"},
]
SAMPLES: list[dict[str, Any]] = [
    *({"process_exec": {"process": one}} for one in PROCESSES),
    *({"process_kprobe": {"args": [one], "return": one}} for one in ARGUMENTS),
    {"process_exec": {"parent": process(4), "ancestors": [{}, {"pid": 1}]}, "node_name": "n", "time": TIME},
    {"process_exit": {"signal": "SIGKILL", "status": 1, "time": TIME}, "time": TIME},
    {"process_lsm": {"action": "KPROBE_ACTION_OVERRIDE", "tags": ["a"]}},
    {"process_loader": {"path": "/lib/x", "buildid": "AAEC"}},
    {"process_throttle": {"type": "THROTTLE_START", "cgroup": "c"}},
    {"node_labels": {"zone": "a"}, "cluster_name": "c", "test": {"arg0": "1"}},
]


@pytest.mark.parametrize("record", SAMPLES)
def test_it_does_what_protobufs_own_parser_does(record: dict[str, Any]) -> None:
    assert to_response(record) == json_format.ParseDict(record, events_pb2.GetEventsResponse())


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded events are not on this machine")
def test_events_recorded_from_tetragon_convert_and_come_back() -> None:
    lines = [line for path in sorted(RECORDED.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert len(lines) > 40
    for line in lines:
        record = json.loads(line)
        message = to_response(record)
        assert message == json_format.ParseDict(record, events_pb2.GetEventsResponse())
        assert json_format.MessageToDict(message, preserving_proto_field_name=True) == record


def test_zero_is_not_absent_where_the_interface_tells_them_apart() -> None:
    sent = to_response({"process_exec": {"process": {"uid": 0}}}).process_exec.process
    assert sent.HasField("uid")
    assert not sent.HasField("pid")


def test_our_own_key_and_unknown_ones_are_left_out() -> None:
    record = {"process_exec": {"process": {"pid": 1, "shoe_size": 43}}, "tracehound": {"sequence": 9}}
    assert to_response(record) == to_response({"process_exec": {"process": {"pid": 1}}})


def test_a_name_that_an_enum_does_not_have_is_left_out() -> None:
    record = {"process_exec": {"process": {"cap": {"effective": ["CAP_OF_TOMORROW", "CAP_BPF"]}}}}
    assert list(to_response(record).process_exec.process.cap.effective) == [39]
    assert to_response({"process_lsm": {"action": "?"}}).process_lsm == tetragon_pb2.ProcessLsm()


@pytest.mark.parametrize(
    "process",
    [
        5, [], "x", {"pid": -1}, {"pid": 2**32}, {"pid": "5"}, {"binary": 5}, {"start_time": "yesterday"},
        {"start_time": 5}, {"cap": []}, {"cap": {"effective": 5}},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_an_error_of_its_own(process: Any) -> None:
    with pytest.raises(Unconvertible):
        to_response({"process_exec": {"process": process}})


def test_types_of_events_have_the_interfaces_numbers() -> None:
    assert event_type({"node_name": "n", "process_exit": {}}) == events_pb2.PROCESS_EXIT
    assert event_type({"tracehound": {}}) == 0
    names = {name.upper(): number for name, number in EVENT_NUMBERS.items()}
    assert names == {name: number for name, number in events_pb2.EventType.items() if number}


POD = {
    "namespace": "shop",
    "name": "web-1",
    "uid": "u",
    "container": {
        "id": "containerd://abc",
        "name": "web",
        "image": {"id": "sha256:1", "name": "web:1"},
        "start_time": "2026-01-01T00:00:00Z",
        "pid": 7,
        "maybe_exec_probe": True,
        "security_context": {"privileged": True},
    },
    "pod_labels": {"app": "web"},
    "pod_annotations": {"a": "b"},
    "workload": "web",
    "workload_kind": "Deployment",
}


def test_container_and_pod_arrive_whole() -> None:
    process = {"pid": 7, "docker": "abc", "in_init_tree": False, "pod": POD}
    record = {"process_exec": {"process": process, "ancestors": [process, {"pid": 1}]}}
    made = to_response(record).process_exec
    told = json_format.MessageToDict(made.process, preserving_proto_field_name=True)
    assert told == process
    assert [one.pid.value for one in made.ancestors] == [7, 1]
    assert made.process.HasField("in_init_tree")
