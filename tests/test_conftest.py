# SPDX-License-Identifier: Apache-2.0
"""In CI a skip that nobody allowed is a failure. Checked by running pytest on a small suite of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest

def test_runs():
    assert True

@pytest.mark.skip(reason="no kprobes here")
def test_skipped():
    pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    assert False
"""


def run_suite(directory: Path, rules: str, ci: str, suite: str = SUITE) -> subprocess.CompletedProcess[str]:
    """Run the small suite with our conftest and these rules."""
    shutil.copy(Path(__file__).parent / "conftest.py", directory)
    (directory / "test_small.py").write_text(suite)
    (directory / "allowed-skips.toml").write_text(rules)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n  bench: b\n  kernel: k\n  root: r\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "."],
        cwd=directory,
        env={**os.environ, "CI": ci},
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_skip_is_a_failure_in_ci(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "", ci="true")
    assert done.returncode == 1
    assert "allowed-skips.toml does not allow here: no kprobes here" in done.stdout


def test_a_listed_skip_is_accepted_in_ci(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "[[skip]]\nmatch = 'no kprobes'\nreason = 'r'\n", ci="true")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout


def test_a_rule_for_another_kernel_does_not_count(tmp_path: Path) -> None:
    rules = "[[skip]]\nmatch = 'no kprobes'\nkernel = '^2[.]6'\nreason = 'r'\n"
    assert run_suite(tmp_path, rules, ci="true").returncode == 1


def test_a_rule_without_a_reason_is_refused(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "[[skip]]\nmatch = 'no kprobes'\n", ci="true")
    assert done.returncode != 0
    assert "needs match and reason" in done.stdout + done.stderr


def test_outside_ci_a_skip_is_a_skip(tmp_path: Path) -> None:
    assert run_suite(tmp_path, "", ci="").returncode == 0


def test_a_module_that_skips_itself_is_a_failure_in_ci(tmp_path: Path) -> None:
    suite = "import pytest\npytest.skip('not today', allow_module_level=True)\n"
    done = run_suite(tmp_path, "", ci="true", suite=suite)
    assert done.returncode != 0
    assert "not today" in done.stdout


def test_benchmarks_run_only_when_asked_for(tmp_path: Path) -> None:
    suite = "import pytest\n@pytest.mark.bench\ndef test_b(): pass\ndef test_a(): pass\n"
    assert "1 passed, 1 deselected" in run_suite(tmp_path, "", ci="", suite=suite).stdout


def test_a_folder_called_kernel_marks_nothing(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    done = run_suite(tmp_path / "kernel", "", ci="", suite="def test_a(): pass\n")
    assert "1 cases, 0 of them marked kernel" in done.stdout


def test_the_executed_cases_are_counted_per_kernel(tmp_path: Path) -> None:
    suite = "import pytest\n@pytest.mark.kernel\ndef test_k(): pass\ndef test_a(): pass\n"
    done = run_suite(tmp_path, "", ci="", suite=suite)
    assert f"executed on kernel {os.uname().release}: 2 cases, 1 of them marked kernel" in done.stdout
