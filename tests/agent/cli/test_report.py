# SPDX-License-Identifier: Apache-2.0
"""`tracehound report`."""

from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from agent.cli.arguments import Parser
from agent.cli.report import add_arguments, question
from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.cli.test_incident import session


@pytest.fixture
def exec_id(log: LogMaker) -> str:
    return session(log)


def report(call: Call, log: LogMaker, *argv: object) -> tuple[int, str, str]:
    return call("report", "--log-dir", log.directory, *argv)


def test_a_report_is_written_for_its_owner_alone(
    call: Call, log: LogMaker, exec_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "incident.html"
    status, out, err = report(call, log, "--pid", 50, "--title", "INC-1", "-o", file)
    assert (status, err) == (0, "")
    assert out.startswith(f"{file}: 2 processes, 5 events, ")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page = file.read_text("utf-8")
    assert "INC-1" in page and exec_id in page and "3 lost, ring full at exec" in page
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["incident.html"]


def test_the_configured_log_is_reported_on(
    call: Call, log: LogMaker, exec_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEHOUND_LOG__DIR", str(log.directory))
    status, _, err = call("report", "--root", tmp_path, "--pid", 50, "-o", tmp_path / "incident.html")
    assert (status, err) == (0, "")


def test_a_report_goes_to_standard_output(call: Call, log: LogMaker, exec_id: str) -> None:
    status, out, err = report(call, log, "--exec-id", exec_id, "-o", "-")
    assert (status, err) == (0, "")
    assert out.startswith("<!doctype html>") and out.endswith("</html>\n")


def test_a_file_that_is_there_is_left_alone(call: Call, log: LogMaker, exec_id: str, tmp_path: Path) -> None:
    file = tmp_path / "incident.html"
    file.write_text("evidence")
    status, out, err = report(call, log, "--pid", 50, "-o", file)
    assert (status, out) == (2, "") and "is there already" in err and "--force" in err
    assert file.read_text() == "evidence"


def test_force_replaces_a_file_with_a_private_one(
    call: Call, log: LogMaker, exec_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "incident.html"
    file.write_text("old")
    assert report(call, log, "--pid", 50, "-o", file, "--force")[0] == 0
    assert file.read_text("utf-8").startswith("<!doctype html>") and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_link_is_not_followed(
    call: Call, log: LogMaker, exec_id: str, tmp_path: Path, force: tuple[str, ...]
) -> None:
    (tmp_path / "target").write_text("other")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    status, _, err = report(call, log, "--pid", 50, "-o", tmp_path / "link", *force)
    assert status == 2 and "is no ordinary file" in err and (tmp_path / "target").read_text() == "other"


def test_a_directory_that_is_not_there_is_told_before_the_log_is_read(call: Call, tmp_path: Path) -> None:
    status, _, err = call(
        "report", "--log-dir", tmp_path / "none", "--pid", 1, "-o", tmp_path / "no" / "x.html"
    )
    assert status == 2 and "is no directory" in err


def test_arguments_are_left_out_on_request(call: Call, log: LogMaker, tmp_path: Path) -> None:
    log.exec(70, "/bin/x", "--password", "hunter2", at=1)
    file = tmp_path / "incident.html"
    assert report(call, log, "--pid", 70, "--hide-arguments", "-o", file)[0] == 0
    page = file.read_text("utf-8")
    assert "hunter2" not in page and "Left out of this report on request: arguments" in page


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (("--pid", 50), "required: -o"),
        (("-o", "-"), "one of the arguments"),
        (("--pid", 999, "-o", "-"), "no process with pid 999"),
        (("--exec-id", "bm9uZQ==", "-o", "-"), "no process with bm9uZQ=="),
        (("--exec-id", "bm9uZQ==", "--at", "1m", "-o", "-"), "--at goes with --pid"),
        (("--pid", 50, "--since", "1m", "--until", "2m", "-o", "-"), "--since is later than --until"),
        (("--pid", 50, "--limit", "0", "-o", "-"), "no number above 0"),
        (("--pod", "cart", "-o", "-"), "write NAMESPACE/NAME"),
        (("--address", "192.0.2.9", "-o", "-"), "no process with 192.0.2.9"),
    ],
)
def test_a_mistake_is_told_with_a_way_out(
    call: Call, log: LogMaker, exec_id: str, argv: tuple[object, ...], problem: str
) -> None:
    status, _, err = report(call, log, *argv)
    assert status == 2 and problem in err and "hint: " in err


def test_the_question_is_told_in_words_that_mean_the_same_later() -> None:
    parser = Parser()
    add_arguments(parser)
    asked = parser.parse_args(["--file", "/tmp/a b", "--since", "2026-01-01T02:00+0200", "-o", "-"])
    assert question(asked) == "tracehound report --file '/tmp/a b' --since 2026-01-01T00:00:00Z"


def test_nothing_is_left_of_a_report_that_could_not_be_written(
    call: Call, log: LogMaker, exec_id: str, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        status, _, err = report(call, log, "--pid", 50, "-o", tmp_path / "incident.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 1 and "File too large" in err
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == []


def test_the_proof_of_the_chain_stands_in_the_head_unless_it_is_skipped(
    call: Call, log: LogMaker, exec_id: str
) -> None:
    log.segment(at=10)
    told = (
        report(call, log, "--pid", 50, "-o", "-")[1],
        report(call, log, "--pid", 50, "--no-verify", "-o", "-")[1],
    )
    assert "The chain of hashes was not verified: segments" in told[0]
    assert "The chain of hashes was not verified.<" in told[1]
