# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.chunk import Chunks
from agent.decode.exec import EXEC, ExecDecoder
from agent.events import ARGUMENTS_CUT, ARGUMENTS_FAULT, ENVIRONMENT_CUT, EXECED, FORKED, Exec, Garbage
from tests.agent.wire import HOST_NS, SECOND, chunk_records, exec_record, facts

IMAGE = (100, 2 * SECOND)


def decoded(raw: bytes, *chunks: bytes) -> Exec:
    waiting = Chunks()
    for chunk in chunks:
        waiting.add(chunk)
    event = ExecDecoder(waiting)(raw)
    assert isinstance(event, Exec)
    return event


def area(argv: list[bytes]) -> bytes:
    return b"".join(argument + b"\0" for argument in argv)


def test_every_field_is_found() -> None:
    about = facts(
        range(1, 9), range(11, 15), securebits=16, auid=1000, cgroup_id=18, sid=19, pgid=20, tty=b"pts3"
    )
    event = decoded(
        exec_record(
            IMAGE, (7, 8), [b"ls", b"-l"], exe=b"/usr/bin/ls", cwd=b"/home/u", cgroup=b"a.scope",
            environment=b"A=1\0", about=about, inode=(2**63, 8 << 20 | 3, 0), at=77, nspid=9,
        )
    )  # fmt: skip
    assert event.head == (1, FORKED | EXECED, 77, 100, 100, 2 * SECOND, 7, 9, 8)
    assert event.facts.credentials == (*range(1, 9), *range(11, 15), 16)
    assert event.facts[1:] == (1000, HOST_NS, 18, 19, 20, b"pts3")
    assert event[2:6] == (2**63, 8 << 20 | 3, 0, 2)
    assert event[6:] == (b"/bin/ls", b"a.scope", b"/usr/bin/ls", b"/home/u", b"ls\0-l\0", b"A=1\0", ())


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [b""],
        [b"", b""],
        [b"a", b""],
        [b"", b"a"],
        [b" ", b"\t", b"\n"],
        [b'"', b"'"],
        [b"\xff\xfe", b"\x80"],
    ],
)
def test_arguments_come_as_they_are(argv: list[bytes]) -> None:
    event = decoded(exec_record(argv=argv))
    assert (event.arguments, event.argc, event.missing) == (area(argv), len(argv), ())


def test_ten_thousand_arguments_come_whole_in_chunks() -> None:
    argv = [b"argument-%d" % number for number in range(10_000)]
    chunks = chunk_records(IMAGE, area(argv))
    raw = exec_record(IMAGE, argv=argv, chunks=(len(chunks), 0), arguments_bytes=len(area(argv)))
    event = decoded(raw, *chunks)
    assert event.arguments.split(b"\0")[:-1] == argv
    assert event.missing == ()


def test_a_missing_chunk_is_named() -> None:
    chunks = chunk_records(IMAGE, b"a" * 20_000)
    event = decoded(exec_record(IMAGE, chunks=(3, 0), arguments_bytes=20_000), chunks[0], chunks[2])
    assert (len(event.arguments), event.missing) == (8192 + 3616, ("arguments",))


def test_a_chunk_that_the_kernel_could_not_read_is_named() -> None:
    chunks = [chunk_records(IMAGE, b"a" * 8192)[0], chunk_records(IMAGE, b"", size=1)]
    event = decoded(exec_record(IMAGE, chunks=(1, 0), arguments_bytes=9000), chunks[0])
    assert event.missing == ("arguments",)


def test_arguments_and_environment_can_both_come_in_chunks() -> None:
    chunks = chunk_records(IMAGE, b"a" * 9000) + chunk_records(IMAGE, b"e" * 9000, 1)
    event = decoded(exec_record(IMAGE, chunks=(2, 2), arguments_bytes=9000, environment_bytes=9000), *chunks)
    assert (event.arguments, event.environment, event.missing) == (b"a" * 9000, b"e" * 9000, ())


@pytest.mark.parametrize(
    ("record", "missing"),
    [
        ({"flags": ARGUMENTS_CUT, "chunks": (1, 0), "arguments_bytes": 4}, ("arguments",)),
        ({"flags": ARGUMENTS_FAULT, "argv": [], "arguments_bytes": 4}, ("arguments",)),
        ({"environment_bytes": 4}, ("environment",)),
        ({"flags": ENVIRONMENT_CUT, "environment": b"A=1\0", "environment_bytes": 9}, ("environment",)),
    ],
)
def test_what_was_cut_or_could_not_be_read_is_named(record: dict[str, Any], missing: tuple[str]) -> None:
    assert decoded(exec_record(IMAGE, **record), *chunk_records(IMAGE, b"abc\0")).missing == missing


def test_a_process_without_a_path_stands_at_the_root() -> None:
    event = decoded(exec_record(exe=b"", cwd=b""))
    assert (event.exe, event.cwd) == (b"/", b"/")


def test_equal_facts_are_built_once() -> None:
    decode = ExecDecoder(Chunks())
    one, two, other = decode(exec_record()), decode(exec_record()), decode(exec_record(about=facts((1,) * 8)))
    assert one.facts is two.facts
    assert one.facts != other.facts


def test_what_is_remembered_of_facts_and_paths_is_bounded() -> None:
    decode = ExecDecoder(Chunks())
    for number in range(10_000):
        event = decode(exec_record(about=facts(sid=number), cwd=b"/%d" % number))
        assert (event.facts.sid, event.cwd) == (number, b"/%d" % number)
    assert len(decode._facts) <= 4096
    assert len(decode._paths) <= 4096


def test_every_truncated_record_is_garbage() -> None:
    raw = exec_record(argv=[b"ls", b"-l"], cgroup=b"a.scope", environment=b"A=1\0")
    decode = ExecDecoder(Chunks())
    assert isinstance(decode(raw), Exec)
    assert all(isinstance(decode(raw[:length]), Garbage) for length in range(len(raw)))


@given(st.binary(min_size=EXEC.size, max_size=EXEC.size + 300))
def test_garbage_of_the_right_size_makes_no_error(raw: bytes) -> None:
    assert isinstance(ExecDecoder(Chunks())(raw), Exec | Garbage)
