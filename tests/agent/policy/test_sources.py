# SPDX-License-Identifier: Apache-2.0
"""Policies come from files, directories and profiles, in this order, each file once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.policy.sources import configured_files, read_configured
from agent.settings import PolicySettings

POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: NAME}
spec:
  kprobes:
  - {call: tcp_connect, syscall: false, args: [{index: 0, type: sock}]}
"""


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in ("b", "a"):
        (tmp_path / f"{name}.yaml").write_text(POLICY.replace("NAME", name))
    (tmp_path / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "notes.txt").write_text("nonsense")
    return tmp_path


def settings(**values: object) -> PolicySettings:
    return PolicySettings(**{"dirs": (), **values})  # type: ignore[arg-type]


def test_a_directory_gives_its_yaml_files_by_name(shelf: Path) -> None:
    found = configured_files(settings(dirs=(str(shelf),)))
    assert [file.name for file in found] == ["a.yaml", "b.yaml"]


def test_the_library_may_be_the_directory(shelf: Path) -> None:
    (shelf / "profiles.yaml").write_text("minimal: [b.yaml]\n")
    found = read_configured(settings(dirs=(str(shelf),)))
    assert (list(found.policies), found.problems) == (["a", "b"], [])


def test_files_come_before_directories_and_each_counts_once(shelf: Path) -> None:
    found = configured_files(settings(files=(f"{shelf}/b.yaml",), dirs=(str(shelf),)))
    assert [file.name for file in found] == ["b.yaml", "a.yaml"]


def test_a_directory_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert configured_files(settings(dirs=(f"{tmp_path}/none",))) == []


def test_a_profile_names_files_of_the_library(shelf: Path) -> None:
    (shelf / "profiles.yaml").write_text("minimal: [b.yaml]\n")
    assert configured_files(settings(profile="minimal"), (shelf,)) == [shelf / "b.yaml"]


def test_a_profile_that_no_library_has_is_a_problem(shelf: Path) -> None:
    (problem,) = read_configured(settings(profile="forensic"), (shelf,)).problems
    assert "forensic of profiles.yaml" in problem.where.source
    assert problem.is_error


def test_policies_are_read_by_name(shelf: Path) -> None:
    found = read_configured(settings(dirs=(str(shelf),)))
    assert list(found.policies) == ["a", "b"]
    assert not found.problems


def test_of_two_policies_of_one_name_the_second_is_told(shelf: Path) -> None:
    (shelf / "c.yaml").write_text(POLICY.replace("NAME", "a"))
    found = read_configured(settings(dirs=(str(shelf),)))
    assert found.policies["a"].where.source == f"{shelf}/a.yaml"
    assert [problem.where.source for problem in found.problems] == [f"{shelf}/c.yaml"]


def test_one_broken_file_leaves_the_others(shelf: Path) -> None:
    (shelf / "a.yaml").write_text("kind: [")
    found = read_configured(settings(dirs=(str(shelf),)))
    assert list(found.policies) == ["b"]
    assert [problem.where.source for problem in found.problems] == [f"{shelf}/a.yaml"]


@pytest.mark.timeout(5)
def test_a_pipe_among_the_files_is_not_waited_for(shelf: Path) -> None:
    os.mkfifo(shelf / "a0.yaml")
    found = read_configured(settings(dirs=(str(shelf),)))
    assert list(found.policies) == ["a", "b"]
    assert "is a pipe" in found.problems[0].text
