# SPDX-License-Identifier: Apache-2.0
import orjson
import pytest

from agent.store.split import CUT, IMAGE, join, middle_of, process_form, process_json, split
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


@pytest.mark.parametrize("line", EVENTS)
def test_an_image_without_escapes_is_told_without_parsing(line: bytes) -> None:
    parts = split(line, middle_of(line))
    assert parts is not None
    process, text = orjson.loads(parts[1]), parts[1].decode()
    found = IMAGE.fullmatch(text)
    if found is None:
        assert "\\" in text or "parent_exec_id" not in process
        return
    names = ("exec_id", "pid", "uid", "cwd", "binary", "arguments", "", "start_time", "auid", "docker")
    told = {
        name: value for name, value in zip(names, found.groups(), strict=False) if name and value is not None
    }
    assert told == {name: str(process[name]) for name in names if name in process}
    assert f"{found[7]}{CUT}{found[12]}" == process_form(text, process)


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
