# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.record import Decoder
from agent.events import Exec, Exit, Fork, Garbage, Record
from tests.agent.wire import chunk_records, exec_record, exit_record, fork_record, task_record

IMAGE = (100, 50)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (exec_record(), Exec),
        (fork_record(IMAGE, (1, 2)), Fork),
        (exit_record(IMAGE), Exit),
        (b"", Garbage),
        (b"\0" * 300, Garbage),
        (task_record(IMAGE), Garbage),
        (b"\xff" * 300, Garbage),
    ],
)
def test_each_kind_has_its_decoder_and_other_kinds_are_garbage(raw: bytes, kind: type[Record]) -> None:
    assert type(Decoder()(raw)) is kind


def test_a_chunk_waits_for_its_exec_record() -> None:
    decode = Decoder()
    assert [decode(chunk) for chunk in chunk_records(IMAGE, b"a" * 9000)] == [None, None]
    event = decode(exec_record(IMAGE, chunks=(2, 0), arguments_bytes=9000))
    assert isinstance(event, Exec)
    assert event.arguments == b"a" * 9000


@given(kind=st.integers(0, 7), rest=st.binary(max_size=8400))
def test_garbage_of_any_kind_and_length_makes_no_error(kind: int, rest: bytes) -> None:
    assert isinstance(Decoder()(bytes([kind]) + rest), Record | None)


@given(st.data())
def test_a_record_with_any_byte_changed_makes_no_error(data: st.DataObject) -> None:
    raw = bytearray(exec_record(argv=[b"ls", b"-l"], cgroup=b"a.scope", environment=b"A=1\0"))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(Decoder()(bytes(raw)), Record | None)
