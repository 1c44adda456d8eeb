# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.api.filters.fields import FieldSelection
from agent.api.proto.tetragon import events_pb2
from agent.log.filters import Refused

EXEC = {
    "process_exec": {
        "process": {"pid": 5, "binary": "/bin/ls", "cap": {"permitted": ["CAP_BPF"]}},
        "parent": {"pid": 4, "binary": "/bin/sh"},
        "ancestors": [{"pid": 3, "binary": "/bin/a"}, {"pid": 1, "binary": "/bin/b"}],
    },
    "node_name": "n1",
}


def one(*paths: str, exclude: bool = False, types: tuple[str, ...] = (), invert: bool | None = None) -> Any:
    return events_pb2.FieldFilter(
        fields={"paths": paths},
        action=events_pb2.EXCLUDE if exclude else events_pb2.INCLUDE,
        event_set=types,
        invert_event_set=None if invert is None else {"value": invert},
    )


def selected(*filters: Any) -> Any:
    record = FieldSelection(filters).select(EXEC)
    assert record["node_name"] == "n1"
    return record["process_exec"]


def test_included_fields_stay_and_others_go() -> None:
    assert selected(one("process.pid", "parent")) == {
        "process": {"pid": 5},
        "parent": {"pid": 4, "binary": "/bin/sh"},
    }


def test_excluded_fields_go_and_others_stay() -> None:
    assert selected(one("process.cap", "parent", "ancestors", exclude=True)) == {
        "process": {"pid": 5, "binary": "/bin/ls"}
    }


def test_paths_reach_into_lists() -> None:
    assert selected(one("ancestors.pid"))["ancestors"] == [{"pid": 3}, {"pid": 1}]
    assert selected(one("ancestors.pid", exclude=True))["ancestors"] == [
        {"binary": "/bin/a"},
        {"binary": "/bin/b"},
    ]


def test_filters_are_applied_one_after_the_other() -> None:
    assert selected(one("process"), one("process.cap", exclude=True)) == {
        "process": {"pid": 5, "binary": "/bin/ls"}
    }


@pytest.mark.parametrize(
    "path", ["process.binary_properties", "process.binaryProperties", "Process.BinaryProperties"]
)
def test_a_field_may_be_written_in_every_customary_way(path: str) -> None:
    assert selected(one(path)) == {"process": {}}


@pytest.mark.parametrize(
    ("types", "invert", "applies"),
    [
        ((), None, True),
        (("PROCESS_EXEC",), None, True),
        (("PROCESS_EXIT",), None, False),
        (("PROCESS_EXEC",), True, False),
        (("PROCESS_EXIT",), True, True),
        (("PROCESS_EXEC",), False, True),
    ],
)
def test_the_event_set_limits_a_filter(types: tuple[str, ...], invert: bool | None, applies: bool) -> None:
    found = selected(one("process.pid", types=types, invert=invert))
    assert (found == {"process": {"pid": 5}}) is applies


def test_a_filter_without_paths_changes_nothing() -> None:
    assert selected(one(), one(exclude=True)) == EXEC["process_exec"]


def test_a_shorter_path_swallows_longer_ones() -> None:
    assert selected(one("process", "process.pid"))["process"] == EXEC["process_exec"]["process"]
    assert selected(one("process.pid", "process"))["process"] == EXEC["process_exec"]["process"]


def test_a_field_of_another_type_of_event_is_simply_absent() -> None:
    assert selected(one("function_name", "process.pid")) == {"process": {"pid": 5}}


@pytest.mark.parametrize(
    "path", ["", "proces", "process.nope", "process.pid.value", "process.pod.pod_labels.app"]
)
def test_a_path_that_names_nothing_is_refused(path: str) -> None:
    with pytest.raises(Refused, match=r"field_filters\[0\]\.fields: no event has the field"):
        FieldSelection([one(path)])


def test_too_many_paths_are_refused() -> None:
    with pytest.raises(Refused, match="more than 512 paths"):
        FieldSelection([one(*["process"] * 513)])


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(Refused, match="neither INCLUDE nor EXCLUDE"):
        FieldSelection([events_pb2.FieldFilter(action=7)])


def test_own_records_pass_untouched() -> None:
    record = {"tracehound": {"sequence": 1}}
    assert FieldSelection([one("process")]).select(record) is record
