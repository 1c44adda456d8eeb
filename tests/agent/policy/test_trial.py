# SPDX-License-Identifier: Apache-2.0
"""Policies are tried without an agent: read, planned for this kernel, compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.policy.trial import Trial, try_files

POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: NAME}
spec:
  kprobes:
  - call: CALL
    syscall: KIND
    args: [{index: 0, type: int}]
"""


def policy(name: str, call: str) -> str:
    """`call` is a system call where it says so."""
    kind = str(call.startswith("sys_")).lower()
    return POLICY.replace("NAME", name).replace("CALL", call).replace("KIND", kind)


def trial_of(directory: Path, **calls: str) -> Trial:
    files = []
    for name, call in calls.items():
        files.append(directory / f"{name}.yaml")
        files[-1].write_text(policy(name, call))
    return try_files(files)


@pytest.mark.root
@pytest.mark.kernel
def test_a_good_policy_is_compiled_for_each_of_its_hooks(tmp_path: Path) -> None:
    trial = trial_of(tmp_path, one="sys_getpgid")
    (tried,) = trial.tried
    assert trial.is_good and tried.is_good
    assert set(tried.compiled) == {use.key for use in tried.plan.uses}


@pytest.mark.root
@pytest.mark.kernel
def test_what_this_kernel_lacks_is_a_problem_with_its_line(tmp_path: Path) -> None:
    trial = trial_of(tmp_path, one="no_such_function", two="sys_getpgid")
    (problem,) = [problem for problem in trial.problems if problem.is_error]
    assert (problem.where.source, problem.where.line) == (f"{tmp_path}/one.yaml", 6)
    assert [tried.is_good for tried in trial.tried] == [False, True]


def test_a_file_that_is_no_policy_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("kind: Pod\n")
    trial = try_files([tmp_path / "x.yaml", tmp_path / "none.yaml"])
    assert {Path(problem.where.source).name for problem in trial.problems} == {"x.yaml", "none.yaml"}
    assert not trial.is_good and not trial.tried


def test_one_name_in_two_files_is_a_problem(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(policy("same", "sys_getpgid"))
    trial = try_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert any("same" in problem.text and problem.is_error for problem in trial.problems)
