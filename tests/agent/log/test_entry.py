# SPDX-License-Identifier: Apache-2.0
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.log.entry import Cursor, Entry, is_whole, line_test, parse, sequence_in
from agent.log.records import own_line

from .conftest import event

EXEC = b"%b7%b" % event()
EXIT = b"%b8%b" % event(kind="process_exit")
LOSS = b"%b9%b" % own_line("loss", {"cause": "ring_full"}, "n1", 0)
STOP = b"%b10%b" % own_line("stop", {"reason": "SIGTERM"}, "n1", 0)
SEGMENT = "1767225600000-000000000001.jsonl"


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ({"process_exec"}, [EXEC]),
        ({"process_exec", "process_exit"}, [EXEC, EXIT]),
        ({"loss"}, [LOSS]),
        ({"stop", "process_exit"}, [EXIT, STOP]),
        ({"lo", "process", ".*", "tracehound", "node_name"}, []),
        (set(), []),
    ],
)
def test_types_are_told_from_the_first_bytes(types: set[str], wanted: list[bytes]) -> None:
    test = line_test(types)
    assert test is not None
    assert [line for line in (EXEC, EXIT, LOSS, STOP) if test(line)] == wanted


def test_no_types_means_no_test() -> None:
    assert line_test(None) is None


@given(st.text())
def test_a_number_in_an_argument_is_not_taken_for_the_sequence(text: str) -> None:
    argument = orjson.dumps(f'"tracehound":{{"sequence":99 {text}').decode()
    line = f'{{"process_exec":{{"arguments":{argument}}},"tracehound":{{"sequence":7}}}}'.encode()
    assert sequence_in(line) == 7
    assert parse(line) == (orjson.loads(line), 7)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"{}", b'{"tracehound":{}}', b"\0\0", EXEC[:-5], EXEC + b"x"]
)
def test_garbage_is_not_a_record(line: bytes) -> None:
    assert parse(line) is None


def test_a_line_is_known_as_whole_by_its_ends() -> None:
    assert is_whole(EXEC[:-1]) and not is_whole(EXEC[:-5]) and not is_whole(EXEC[1:-1])


def test_a_cursor_survives_the_way_to_text_and_back() -> None:
    for cursor in (Cursor(SEGMENT, 4711, 12), Cursor("", 0, 0)):
        assert Cursor.parse(str(cursor) + "\n") == cursor


@pytest.mark.parametrize("text", ["", "x", "a:b:c", f"{SEGMENT}:1", f"{SEGMENT}:-1:2", "../passwd:1:2"])
def test_what_is_not_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Cursor.parse(text)


def test_an_entry_knows_the_place_after_it() -> None:
    assert Entry({}, b"{}", SEGMENT, 100, 5).cursor == Cursor(SEGMENT, 100, 5)
