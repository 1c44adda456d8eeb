# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from vmtest.machine import TIMED_OUT
from vmtest.suite import Counts, Run, judge, read_counts, table

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


def test_the_closing_line_sums_all_kernels() -> None:
    runs = [Run("6.1", Counts(2, 1, 0), 3.0, ""), Run("6.12", Counts(4, 0, 2), None, "")]
    assert table(runs)[-1] == "6 passed, 1 failed, 2 skipped"


def test_a_kernel_that_did_not_run_is_a_failure_in_the_sum() -> None:
    assert table([Run("6.1", Counts(), 3.0, "executed no case")])[-1] == "0 passed, 1 failed"
