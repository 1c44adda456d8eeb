# SPDX-License-Identifier: Apache-2.0
import io
from pathlib import Path

import pytest

from agent.cli.color import PLAIN
from agent.cli.policy_texts import problem_json, problem_lines, read_text
from agent.errors import UsageError
from agent.policy.document import MAX_TEXT_BYTES
from agent.policy.model import Problem, Where

PROBLEM = Problem(Where("p.yaml", 7, "spec.kprobes[0]"), "no function f", "did you mean g?")


def test_a_problem_has_its_place_and_the_way_out() -> None:
    assert problem_lines(PROBLEM, PLAIN) == [
        "p.yaml:7: error: no function f (spec.kprobes[0])",
        "    did you mean g?",
    ]


def test_a_warning_says_so_and_a_file_needs_no_line() -> None:
    warning = Problem(Where("p.yaml", 0, ""), "\x1b[2Jlarge", is_error=False)
    assert problem_lines(warning, PLAIN) == ["p.yaml: warning: \\e[2Jlarge"]


def test_a_problem_for_programs() -> None:
    told = problem_json(PROBLEM)
    assert (told["file"], told["line"], told["severity"]) == ("p.yaml", 7, "error")


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"kind: x")))
    assert read_text("-") == "kind: x"


def test_standard_input_must_be_utf_8_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), errors="surrogateescape"))
    with pytest.raises(UsageError, match="-: byte 0 is not UTF-8"):
        read_text("-")


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        read_text("-")


def test_what_is_too_long_is_refused_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / "long.yaml"
    long.write_bytes(b"#" * (MAX_TEXT_BYTES + 1))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(long.read_bytes())))
    for name in (str(long), "-"):
        with pytest.raises(UsageError, match=r"is longer than 2097152 bytes \(2.0 MiB\)"):
            read_text(name)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: No such file"):
        read_text(str(tmp_path / "none"))
    (tmp_path / "bad").write_bytes(b"\xff")
    with pytest.raises(UsageError, match="byte 0 is not UTF-8"):
        read_text(str(tmp_path / "bad"))
