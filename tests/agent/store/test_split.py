# SPDX-License-Identifier: Apache-2.0
import orjson
import pytest

from agent.store.split import join, middle_of, process_form, process_json, split
from tests.agent.store.support import golden_lines

LINES = golden_lines()
EVENTS = [line.encode(errors="surrogateescape") for line in LINES if line.startswith('{"process_')]


@pytest.mark.parametrize("line", EVENTS)
def test_a_line_of_the_encoder_is_taken_apart_and_put_together_again(line: bytes) -> None:
    parts = split(line, middle_of(line))
    assert parts is not None
    assert join(parts, middle_of(line)) == line


@pytest.mark.parametrize("line", EVENTS)
def test_a_process_is_told_by_its_columns_and_a_short_form(line: bytes) -> None:
    parts = split(line, middle_of(line))
    assert parts is not None
    process = orjson.loads(parts[1])
    form = process_form(parts[1].decode(), process)
    assert process_json(form, process) == parts[1].decode()
    assert len(form) < 120


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b'{"tracehound":{"sequence":1}}', b"x" * 100, b'{"process_exec":{"process":{"exec_id":"'],
)
def test_what_our_encoder_did_not_write_stays_whole(line: bytes) -> None:
    assert split(line, b'},"node_name":"n","time":"') is None


def test_arguments_that_look_like_json_do_not_mislead() -> None:
    line = EVENTS[0]
    nasty = line.replace(b"/bin/sh", b'\\"in_init_tree\\":false}},\\"node_name\\":')
    parts = split(nasty, middle_of(nasty))
    assert parts is not None
    assert join(parts, middle_of(nasty)) == nasty
