# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.chunk import Chunks
from agent.decode.exec import ExecDecoder
from agent.enrich.describe import Describer, ExecDetail, flag_words
from agent.enrich.process import Process
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.text import to_text
from agent.events import (
    ARGUMENTS_CUT,
    ARGUMENTS_FAULT,
    CWD_CUT,
    CWD_UNREACHABLE,
    EXE_CUT,
    EXECED,
    FILENAME_CUT,
    FORKED,
    IN_INIT_TREE,
    PARENT_MISSED,
    Exec,
)
from tests.agent.wire import exec_record, facts

CONTAINER = "9f" * 32
BAD = b"caf\xe9"
REDACTOR = Redactor(load_rules(()), b"k" * 32)
BYTES = st.binary(max_size=60).map(lambda text: text.replace(b"\0", b"\xff"))


def described(
    describe: Describer | None = None, parent: Process | None = None, **record: Any
) -> tuple[Process, ExecDetail]:
    event = ExecDecoder(Chunks())(exec_record(**record))
    assert isinstance(event, Exec)
    process = Process(100, 5, "id", parent)
    return process, (describe or Describer(None))(process, event)


def test_the_default_fields_of_a_process_are_set() -> None:
    process, detail = described(
        argv=[b"ls", b"-l", b"a b"],
        cwd=b"/home/u",
        exe=b"/usr/bin/ls",
        about=facts((1, 2, 3, 4, 5, 6, 7, 8), auid=9),
    )
    assert (process.uid, process.auid, process.cwd, process.binary) == (3, 9, "/home/u", "/bin/ls")
    assert (process.arguments, process.words) == ('-l "a b"', "execve clone")
    assert detail == ExecDetail(["ls", "-l", "a b"], "/usr/bin/ls", "", {}, (), {})


@pytest.mark.parametrize(
    ("filename", "cwd", "binary"),
    [
        (b"/bin/ls", b"/tmp", "/bin/ls"),
        (b"./ls", b"/tmp", "/tmp/ls"),
        (b"ls", b"/", "/ls"),
        (b"../bin//ls", b"/usr/lib", "/usr/bin/ls"),
        (b"/bin/../bin/ls", b"/tmp", "/bin/../bin/ls"),
        (b"", b"/tmp", "/usr/bin/ls"),
    ],
)
def test_a_relative_name_is_joined_with_the_working_directory(
    filename: bytes, cwd: bytes, binary: str
) -> None:
    assert described(filename=filename, cwd=cwd, exe=b"/usr/bin/ls")[0].binary == binary


# Bytes that are not UTF-8


@pytest.mark.parametrize(
    ("record", "raw"),
    [
        ({"argv": [b"ls", BAD, b"ok"]}, {"arguments": {"1": "Y2Fm6Q=="}}),
        ({"cwd": b"/" + BAD}, {"cwd": "L2NhZuk="}),
        ({"filename": b"/" + BAD, "exe": b"/bin/x"}, {"binary": "L2NhZuk="}),
        ({"filename": BAD, "cwd": b"/", "exe": b"/bin/x"}, {"binary": "L2NhZuk="}),
        ({"exe": b"/" + BAD}, {"exe": "L2NhZuk="}),
        ({"cgroup": BAD}, {"cgroup": "Y2Fm6Q=="}),
    ],
)
def test_bytes_that_are_not_utf8_are_kept_beside_the_text(
    record: dict[str, Any], raw: dict[str, object]
) -> None:
    assert described(**record)[1].raw == raw


def test_a_relative_name_in_a_directory_that_is_not_utf8_is_kept_whole() -> None:
    process, detail = described(filename=b"ls", cwd=b"/" + BAD, exe=b"/bin/ls")
    assert process.binary == "/caf\ufffd/ls"
    assert b64decode(str(detail.raw["binary"])) == b"/" + BAD + b"/ls"


def test_an_environment_that_is_not_utf8_is_kept_beside_the_text() -> None:
    _, detail = described(
        Describer(None, ["L*"]), environment=b"LANG=" + BAD + b"\0LC_ALL=C\0HOME=" + BAD + b"\0"
    )
    assert detail.environment == {"LANG": "caf\ufffd", "LC_ALL": "C"}
    assert detail.raw == {"environment": {"LANG": "TEFORz1jYWbp"}}


@given(argv=st.lists(BYTES, max_size=6))
def test_every_argument_can_be_had_back_as_it_was(argv: list[bytes]) -> None:
    _, detail = described(argv=argv)
    kept: Any = detail.raw.get("arguments", {})
    assert [b64decode(kept.get(str(i), "")) or a.encode() for i, a in enumerate(detail.argv)] == argv


@given(filename=BYTES, exe=BYTES, cwd=BYTES, cgroup=BYTES, environment=st.binary(max_size=60))
def test_no_bytes_make_an_error_and_all_text_is_valid(**record: bytes) -> None:
    process, detail = described(Describer(REDACTOR, ["*"]), **record)
    texts = [process.binary, process.cwd, detail.exe, detail.cgroup, *detail.environment.values()]
    assert all(text.encode() is not None for text in texts)
    assert detail.cgroup == to_text(record["cgroup"])[0]


# Arguments


@pytest.mark.parametrize(
    ("argv", "joined"),
    [
        ([], ""),
        ([b""], ""),
        ([b"ls"], ""),
        ([b"ls", b""], ""),
        ([b"ls", b"a", b"", b"b"], "a  b"),
        ([b"ls", b"a\tb"], "a\tb"),
        ([b"ls", b'"'], '"'),
        ([b"ls", b"a", b"b c"], 'a "b c"'),
    ],
)
def test_arguments_are_a_list_and_tetragons_string(argv: list[bytes], joined: str) -> None:
    process, detail = described(argv=argv)
    assert (list(detail.argv), process.arguments) == ([a.decode() for a in argv], joined)


def test_ten_thousand_arguments_stay_ten_thousand() -> None:
    argv = [b"%d" % number for number in range(10_000)]
    event = ExecDecoder(Chunks())(exec_record(argv=[b"ls"]))
    assert isinstance(event, Exec)
    detail = Describer(REDACTOR)(
        Process(1, 1, "id", None), event._replace(arguments=b"\0".join(argv) + b"\0")
    )
    assert list(detail.argv) == [a.decode() for a in argv]


def test_a_last_argument_that_was_cut_is_kept_as_far_as_it_came() -> None:
    event = ExecDecoder(Chunks())(exec_record())
    assert isinstance(event, Exec)
    detail = Describer(None)(Process(1, 1, "id", None), event._replace(arguments=b"ls\0-la"))
    assert detail.argv == ["ls", "-la"]


# Redaction

SECRET = b"hunter2-XYZZY"


def everything(process: Process, detail: ExecDetail) -> str:
    return repr([getattr(process, field) for field in Process.__slots__]) + repr(detail)


@pytest.mark.parametrize(
    "argv",
    [
        [b"mysql", b"--password", SECRET],
        [b"curl", b"--token=" + SECRET],
        [b"psql", b"postgres://u:" + SECRET + b"@db/x"],
        [b"mysql", b"--password=" + SECRET + b"\xff"],
        [b"mysql", b"--password", b"\xff\xfe" + SECRET, b"caf\xe9"],
    ],
)
def test_a_secret_is_in_no_field(argv: list[bytes]) -> None:
    process, detail = described(Describer(REDACTOR), argv=argv)
    assert "redacted:" in process.arguments
    assert b"XYZZY" not in everything(process, detail).encode()
    for kept in dict(detail.raw.get("arguments", {})).values():  # type: ignore[call-overload]
        assert SECRET not in b64decode(kept)


def test_an_argument_beside_a_redacted_one_keeps_its_bytes() -> None:
    _, detail = described(Describer(REDACTOR), argv=[b"mysql", b"--password", b"\xff" + SECRET, BAD])
    assert detail.raw == {"arguments": {"3": "Y2Fm6Q=="}}


@pytest.mark.parametrize("value", [SECRET, b"\xff" + SECRET])
def test_a_secret_of_the_environment_is_in_no_field(value: bytes) -> None:
    area = b"DB_PASSWORD=" + value + b"\0LANG=C\0"
    process, detail = described(Describer(REDACTOR, ["DB_*", "LANG"]), environment=area)
    assert detail.environment["DB_PASSWORD"].startswith("redacted:")
    assert (detail.environment["LANG"], detail.raw) == ("C", {})
    assert "XYZZY" not in everything(process, detail)


# Environment


def test_only_the_listed_variables_are_taken() -> None:
    _, detail = described(
        Describer(None, ["LC_*", "PATH"]), environment=b"PATH=/bin\0LC_A=C=D\0HOME=/\0LC_B=\0\0"
    )
    assert detail.environment == {"PATH": "/bin", "LC_A": "C=D", "LC_B": ""}


def test_nothing_is_taken_of_the_environment_by_default() -> None:
    assert described(environment=b"PATH=/bin\0")[1].environment == {}


# Flags


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (0, "execve"),
        (FORKED, "execve clone"),
        (FORKED | IN_INIT_TREE, "execve clone inInitTree"),
        (ARGUMENTS_CUT, "execve truncArgs"),
        (PARENT_MISSED, "execve miss"),
        (ARGUMENTS_FAULT | ARGUMENTS_CUT, "execve errorArgs"),
        (CWD_UNREACHABLE, "execve nocwd"),
        (CWD_CUT, "execve errorCWD"),
        (EXECED | EXE_CUT | FILENAME_CUT, "execve"),
        (FORKED | ARGUMENTS_CUT | PARENT_MISSED | CWD_CUT, "execve truncArgs miss errorCWD clone"),
    ],
)
def test_flags_are_tetragons_words_in_its_order(flags: int, words: str) -> None:
    assert flag_words(flags, False) == words
    assert described(flags=flags)[0].words == words


def test_the_root_as_working_directory_has_its_word() -> None:
    assert described(cwd=b"/")[0].words == "execve rootcwd clone"


def test_missing_chunks_are_said_as_cut_arguments() -> None:
    process, detail = described(chunks=(2, 0), arguments_bytes=9000)
    assert (process.words, detail.truncated) == ("execve truncArgs clone", ("arguments",))


def test_everything_that_was_cut_is_named() -> None:
    _, detail = described(flags=EXE_CUT | CWD_CUT | FILENAME_CUT, chunks=(1, 1), arguments_bytes=9)
    assert detail.truncated == ("arguments", "environment", "exe", "cwd", "filename")


# Containers


def test_a_container_is_known_by_its_cgroup() -> None:
    process, detail = described(cgroup=b"docker-" + CONTAINER.encode() + b".scope")
    assert (process.container, detail.cgroup) == (CONTAINER, f"docker-{CONTAINER}.scope")


def test_in_a_cgroup_below_the_containers_own_the_parents_container_counts() -> None:
    parent = Process(1, 1, "init", None)
    parent.container = CONTAINER
    assert described(parent=parent, cgroup=b"foo.service")[0].container == CONTAINER


def test_a_container_in_a_container_is_its_own() -> None:
    parent = Process(1, 1, "init", None)
    parent.container = CONTAINER
    inner = "ab" * 32
    assert described(parent=parent, cgroup=b"docker-" + inner.encode() + b".scope")[0].container == inner


def test_on_the_host_there_is_no_container() -> None:
    assert described(parent=Process(1, 1, "init", None), cgroup=b"ssh.service")[0].container == ""


# Bounds


def test_what_is_remembered_is_bounded() -> None:
    describe = Describer(None)
    for number in range(6000):
        described(describe, cwd=b"/%d" % number, cgroup=b"%d" % number)
    described(describe, cwd=b"/" + b"x" * 4000)
    assert len(describe._texts) <= 4096
    assert len(describe._containers) <= 4096
    assert max(map(len, describe._texts)) <= 512
