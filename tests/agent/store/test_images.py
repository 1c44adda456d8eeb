# SPDX-License-Identifier: Apache-2.0
from typing import Any

import orjson
import pytest

from agent.store.arrows import plain
from agent.store.flat import COLUMNS, flatten
from agent.store.images import images
from agent.store.schema import PROCESS

POD = {
    "namespace": "shop",
    "name": "web-1",
    "container": {"id": "containerd://abc", "image": {"id": "sha256:1", "name": "nginx:1"}},
    "pod_labels": {"a": "b"},
    "workload": "web",
}


def process(**fields: Any) -> bytes:
    known = {"exec_id": "bjoxOjI=", "pid": 2, "uid": 0, "cwd": "/", "binary": "/bin/sh", "arguments": 'a "b"'}
    last = {"flags": "execve", "start_time": "2026-01-01T00:00:00.000000001Z", "auid": 7}
    return orjson.dumps(
        {**known, **last, **fields, "parent_exec_id": "bjoxOjE=", "tid": 2, "in_init_tree": False}
    )


def rows(*jsons: bytes) -> list[dict[str, Any]]:
    found = {name: plain(column, None) for name, column in images(jsons, [b"bjoxOjE="] * len(jsons)).items()}
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


@pytest.mark.parametrize("more", [{}, {"docker": "abc"}, {"pod": POD}, {"pod": {"name": "x"}, "docker": "d"}])
def test_a_process_is_told_as_in_a_flattened_record(more: dict[str, Any]) -> None:
    record = {"process_exec": {"process": orjson.loads(process(**more))}}
    wanted = dict(zip(COLUMNS, flatten(record, ""), strict=True))
    (row,) = rows(process(**more))
    assert {name: row[name] for name in PROCESS} == {name: wanted[name] for name in PROCESS}


def test_the_form_is_short_unless_the_columns_do_not_give_the_text_back() -> None:
    short, other, spaced = rows(
        process(), process(uid=5), process(exec_id="x").replace(b'"pid":2', b'"pid": 2')
    )
    assert short["process_form"].startswith(',"flags"')
    assert other["process_form"].startswith("{") and other["uid"] == 5  # another one has its exec_id
    assert '"pid": 2' in spaced["process_form"]


@pytest.mark.parametrize("bad", [b'{"exec_id":', b'{"exec_id":"a"}{"exec_id":"b"}', b'{"exec_id":[1]}'])
def test_what_is_no_process_is_kept_as_a_text_and_spoils_no_other(bad: bytes) -> None:
    first, second, third = rows(process(), bad, process(exec_id="c"))
    assert (first["pid"], second["pid"], third["pid"]) == (2, None, 2)
    assert second["process_form"] == bad.decode()


def test_none_are_none() -> None:
    assert rows() == []
