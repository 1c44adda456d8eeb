# SPDX-License-Identifier: Apache-2.0
import orjson

from exporters.formats import Origin, make_format


def test_a_process_is_told_in_full_in_every_event() -> None:
    form = make_format("expanded")
    process = {"exec_id": "a", "pid": 5, "binary": "/bin/sh", "flags": "execve"}
    form({"process_exec": {"process": process}, "tracehound": {"sequence": 1, "user": "root"}}, Origin("b"))
    made = form({"process_exit": {"process": process}, "tracehound": {"sequence": 2}}, Origin("b"))
    assert made is not None
    record = orjson.loads(made)
    assert record["process_exit"]["process"]["user"] == {"name": "root"}
    assert record["tracehound"]["sequence"] == 2
