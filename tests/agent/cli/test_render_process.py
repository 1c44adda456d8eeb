# SPDX-License-Identifier: Apache-2.0
"""Parts of a line that tell of one process."""

from __future__ import annotations

from agent.cli.clock import Clock
from agent.cli.lineage import Seen
from agent.cli.render_process import argument_text, binary_text, details, marks

PROCESS = {"exec_id": "ZQ==", "pid": 7, "binary": "/bin/cat", "arguments": "a b"}


def test_the_vector_is_preferred_to_the_joined_text() -> None:
    assert argument_text(PROCESS, {"arguments": ["cat", "a b"]}, False) == "'a b'"
    assert argument_text(PROCESS, {}, False) == "a b"


def test_joined_text_is_cut_and_cleaned() -> None:
    assert argument_text(PROCESS | {"arguments": "x" * 5000}, {}, False) == "x" * 1000 + "…"
    assert argument_text(PROCESS | {"arguments": "x" * 5000}, {}, True) == "x" * 5000
    assert argument_text(PROCESS | {"arguments": "\n"}, {}, True) == "\\n"


def test_raw_bytes_that_are_no_base64_do_no_harm() -> None:
    assert binary_text(PROCESS, {"raw": {"binary": "§"}}, False) == "§"


def test_privileges_gained_at_exec_are_marked() -> None:
    changed = {"setuid": 0, "privileges_changed": ["RAISED_EXEC_FILE_CAP"]}
    assert marks(PROCESS, {"binary_properties": changed}) == "setuid=0, file_cap"
    assert marks(PROCESS, {"truncated": ["arguments", "cwd"]}) == "truncated: arguments cwd"
    assert marks(PROCESS, {}) == ""


def test_details_have_ids_directory_and_all_ancestors() -> None:
    seen = Seen({"bjE6MTox": "/sbin/init"}.get)
    own = {"ancestry": ["bjE6Mjoy", "bjE6MTox"], "exe": "/usr/bin/cat"}
    event = {"process": PROCESS | {"cwd": "/a b", "docker": "abc", "parent_exec_id": "bjE6Mjoy"}}
    text = details(event, own, seen, Clock())
    assert "exec_id=ZQ== parent_exec_id=bjE6Mjoy uid=0 cwd='/a b'" in text
    assert text.endswith("exe=/usr/bin/cat ancestry=init(1) › …(2) container=abc")
