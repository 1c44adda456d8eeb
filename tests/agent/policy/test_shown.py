# SPDX-License-Identifier: Apache-2.0
"""One value as an argument, with everything that can be wrong with it."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode import content as c
from agent.enrich.redaction import Redactor, load_rules
from agent.events import SentValue
from agent.policy.arguments import ROWS
from agent.policy.shown import CUT, FAULT, NULL, Notes, ShownValue
from agent.policy.values import ValueType
from tests.agent.hookwire import integer_data, path_data

REDACTOR = Redactor(load_rules(()), b"k" * 32)
SECRET = b"--password hunter2-XYZZY"


def shown(crd: str = "string", **more: Any) -> ShownValue:
    return ShownValue(0, ROWS[crd], "args.0", redact=REDACTOR.redact_text, **more)


def told(one: ShownValue, value: SentValue | None) -> tuple[dict[str, Any], Notes]:
    notes: Notes = {}
    return json.loads(one.json(value, notes)), notes


def buffer(data: bytes, wanted: int | None = None) -> SentValue:
    wanted = len(data) if wanted is None else wanted
    return SentValue(ValueType.BUFFER, 0, struct.pack("=2I", wanted, len(data)) + data)


def test_a_label_stands_behind_its_argument() -> None:
    one = shown("int32", label='the "fd"')
    assert list(told(one, SentValue(ValueType.INTEGER, 0, integer_data(3)))[0].items()) == [
        ("int_arg", 3),
        ("label", 'the "fd"'),
    ]


def test_equal_bytes_are_converted_once() -> None:
    one, value = shown("file"), SentValue(ValueType.FILE, 0, path_data(b"/etc/passwd"))
    first = told(one, value)
    assert list(one.known) == [value.data]
    assert (
        told(one, value) == first == ({"file_arg": {"path": "/etc/passwd", "permission": "-rw-r--r--"}}, {})
    )


@pytest.mark.parametrize(("has_steps", "message"), [(False, "for basic type"), (True, "resolve dereference")])
def test_what_could_not_be_read_is_an_error(has_steps: bool, message: str) -> None:
    argument, _ = told(shown(has_steps=has_steps, label="x"), SentValue(ValueType.STRING, FAULT, b""))
    assert message in argument["error_arg"]["Message"] and argument["label"] == "x"


@pytest.mark.parametrize(("crd", "null"), [("string", ""), ("file", {}), ("int32", 0), ("size_t", "0")])
def test_a_null_pointer_is_an_empty_argument(crd: str, null: object) -> None:
    assert told(shown(crd), SentValue(ROWS[crd].takes[0], NULL, b"")) == ({ROWS[crd].member: null}, {})


def test_a_value_that_was_not_sent_is_an_error() -> None:
    assert "no room" in told(shown(), None)[0]["error_arg"]["Message"]


def test_what_was_cut_is_noted_each_time() -> None:
    one, value = shown(), SentValue(ValueType.STRING, CUT, b"beginning")
    assert told(one, value) == told(one, value) == ({"string_arg": "beginning"}, {"truncated": ["args.0"]})


def test_bytes_that_are_no_text_are_kept_beside() -> None:
    one, value = shown("file"), SentValue(ValueType.FILE, 0, path_data(b"/caf\xe9"))
    argument, notes = told(one, value)
    assert argument["file_arg"]["path"] == "/caf\ufffd"
    assert notes == told(one, value)[1] == {"raw": {"args.0": base64.b64encode(b"/caf\xe9").decode()}}


def test_a_file_without_a_name_is_told_by_its_inode() -> None:
    _, notes = told(shown("file"), SentValue(ValueType.FILE, 0, path_data(b"/tmp/x", links=0, flags=2)))
    inode = {"number": "7", "links": 0, "dev": "8:1"}
    assert notes == {"inode": {"args.0": inode}, "unreachable": ["args.0"]}


def test_a_secret_leaves_a_string() -> None:
    argument, notes = told(shown(), SentValue(ValueType.STRING, 0, SECRET + b" \xff"))
    assert argument["string_arg"].startswith("--password redacted:") and "hunter2" not in str(
        (argument, notes)
    )


def test_a_secret_leaves_a_buffer_and_its_other_bytes_stay() -> None:
    argument, _ = told(shown("char_buf"), buffer(b"\xff\0 " + SECRET + b" \xfe"))
    data = base64.b64decode(argument["bytes_arg"])
    assert b"hunter2" not in data and data.startswith(b"\xff\0 --password redacted:")
    assert data.endswith(b" \xfe")


def test_a_cut_buffer_stays_a_cut_one_when_a_secret_leaves_it() -> None:
    argument, _ = told(shown("char_buf"), buffer(SECRET, len(SECRET) + 1))
    assert b"redacted:" in base64.b64decode(argument["truncated_bytes_arg"]["bytes_arg"])


def test_an_ordinary_path_is_never_searched_for_secrets() -> None:
    path = b"/srv/--password hunter2-XYZZY"
    argument, _ = told(shown("file"), SentValue(ValueType.FILE, 0, path_data(path)))
    assert argument["file_arg"]["path"] == path.decode()


def test_a_value_of_another_type_than_planned_is_shown_as_what_it_is() -> None:
    one = shown("file")
    assert told(one, SentValue(ValueType.INTEGER, 0, integer_data(5)))[0] == {"long_arg": "5"}
    assert not one.known


def test_few_values_are_remembered_and_long_ones_never() -> None:
    one = shown()
    for number in range(2000):
        told(one, SentValue(ValueType.STRING, 0, b"%d" % number))
    told(one, SentValue(ValueType.STRING, 0, b"x" * 4000))
    assert len(one.known) <= 512 and all(len(data) < 512 for data in one.known)


@given(
    crd=st.sampled_from(sorted(set(ROWS) - {"nop"})),
    kind=st.integers(0, 40),
    status=st.integers(0, 5),
    data=st.binary(max_size=160),
)
def test_any_bytes_are_valid_json(crd: str, kind: int, status: int, data: bytes) -> None:
    argument, _ = told(shown(crd), SentValue(kind, status, data))
    assert len(argument) == 1


def test_every_content_has_bytes_that_it_can_be_made_of() -> None:
    assert set(c.CONTENTS) == set(ValueType)
