# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from vmtest import machine, suite
from vmtest.kernels import Kernel
from vmtest.machine import TIMED_OUT, Options, Outcome
from vmtest.suite import (
    Counts,
    Run,
    Told,
    failed_cases,
    files_of,
    judge,
    read_counts,
    read_other,
    run_all,
    shared_out,
    table,
)

JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase name="a"/><testcase name="b"><failure message="m">x</failure></testcase>
<testcase name="c"><error message="m">x</error></testcase><testcase name="d"><skipped message="m"/></testcase>
</testsuite></testsuites>"""


def test_errors_count_as_failed(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    assert read_counts(tmp_path / "junit.xml") == Counts(passed=1, failed=2, skipped=1)


@pytest.mark.parametrize(
    ("counts", "status", "problem"),
    [
        (Counts(passed=3), 0, ""),
        (Counts(passed=3, failed=1), 1, ""),
        (Counts(skipped=3), 0, "executed no case"),
        (Counts(), 5, "executed no case"),
        (Counts(passed=3), 2, "pytest ended with status 2"),
        (Counts(passed=3), TIMED_OUT, "did not finish in time"),
    ],
)
def test_silence_is_not_success(counts: Counts, status: int, problem: str) -> None:
    assert judge(counts, status) == problem


def test_what_the_kernel_complains_about_is_no_success() -> None:
    warning = "[   12.3] WARNING: CPU: 0 PID: 141 at kernel/bpf/verifier.c:10493"
    assert judge(Counts(passed=3), 0, [warning]) == f"the kernel complained: {warning}"


def test_the_closing_line_sums_all_kernels() -> None:
    runs = [Run("6.1", Counts(2, 1, 0), 3.0, ""), Run("6.12", Counts(4, 0, 2), None, "")]
    assert table(runs)[-1] == "6 passed, 1 failed, 2 skipped"


def test_a_kernel_that_did_not_run_is_a_failure_in_the_sum() -> None:
    assert table([Run("6.1", Counts(), 3.0, "executed no case")])[-1] == "0 passed, 1 failed"


CASE = '<testcase classname="tests.load.test_idle" name="{}">{}</testcase>'
FAILURE = '<failure message="m">x</failure>'
SUITE = "<testsuites><testsuite>{}</testsuite></testsuites>"
ONE_FAILED = SUITE.format(CASE.format("test_a[x-1]", FAILURE) + CASE.format("test_b", ""))
ALL_PASSED = SUITE.format(CASE.format("test_a[x-1]", ""))


def test_failed_cases_are_named_as_pytest_takes_them(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(ONE_FAILED)
    assert failed_cases(tmp_path / "junit.xml") == ("tests/load/test_idle.py::test_a[x-1]",)


@pytest.mark.parametrize(("second", "status"), [(ALL_PASSED, 0), (ONE_FAILED, 1)])
def test_what_failed_runs_once_more_alone_and_the_table_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    second: str,
    status: int,
) -> None:
    answers = [ONE_FAILED, second]
    asked = []

    def run(
        _kernel: object, command: list[str], _options: object, *, collect: object, **_streams: object
    ) -> Outcome:
        asked.append(command[0])
        (tmp_path / "junit.xml").write_text(answers.pop(0))
        collect(tmp_path)  # type: ignore[operator]
        return Outcome(0 if "failure" not in (tmp_path / "junit.xml").read_text() else 1, 1.0, 2.0, ())

    monkeypatch.setattr(machine, "run", run)
    monkeypatch.setattr(suite, "RESULTS", tmp_path / "results")
    kernel = Kernel("6.1", "6.1.0", tmp_path, tmp_path, ())
    assert run_all([kernel], Options(), "tests/load", {}) == status
    assert "'tests/load/test_idle.py::test_a[x-1]'" in asked[1]
    assert ("1 of them only when run once more" in capsys.readouterr().out) is not bool(status)


@pytest.mark.parametrize(("second", "counts"), [(ALL_PASSED, Counts(2, 0)), (ONE_FAILED, Counts(1, 1))])
def test_a_second_run_elsewhere_counts(tmp_path: Path, second: str, counts: Counts) -> None:
    (tmp_path / "host.xml").write_text(ONE_FAILED)
    (tmp_path / "host-again.xml").write_text(second)
    run = read_other("host", tmp_path / "host.xml")
    assert (run.counts, run.again) == (counts, counts.passed - 1)
    assert read_other("host", tmp_path / "none.xml").problem


def test_groups_stay_together_and_the_rest_is_asked_of_all() -> None:
    cases = {"a.py::1": "a", "a.py::2": "a", "b.py::1": "b", "c.py::1": ""}
    assert shared_out(cases, 2) == [["a.py::1", "a.py::2", "c.py::1"], ["b.py::1", "c.py::1"]]
    assert files_of(cases) == "a.py b.py c.py"


def test_lines_of_several_guests_do_not_mix(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    one, other = Told("6.1"), Told("7.x")
    one.write(b"first ")
    other.write(b"between\n")
    one.write(b"half\nsecond")
    assert capfdbinary.readouterr().out == b"  7.x | between\n  6.1 | first half\n"
