# SPDX-License-Identifier: Apache-2.0
"""Profiles name files of the library."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.policy.profiles import library_files, profile_files

ROOT = Path(__file__).parents[3]
NAMES = ("minimal", "default", "forensic")


@pytest.mark.parametrize("name", NAMES)
def test_every_file_of_a_profile_exists_and_is_named_once(name: str) -> None:
    files = profile_files(name)
    assert all(file.is_file() for file in files)
    assert len(set(files)) == len(files)


def test_each_profile_holds_the_one_before_it() -> None:
    minimal, default, forensic = (set(profile_files(name)) for name in NAMES)
    assert minimal < default < forensic == set(library_files())


def test_a_profile_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(UsageError, match="forensics") as raised:
        profile_files("forensics")
    assert "minimal, default, forensic" in str(raised.value.hint)


def test_the_first_library_that_has_the_profile_counts(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    for name in "bc":
        (tmp_path / name / "profiles.yaml").write_text("minimal: [x.yaml]\n")
    assert profile_files("minimal", tuple(tmp_path / name for name in "abc")) == [tmp_path / "b/x.yaml"]


def test_without_a_library_there_are_no_files(tmp_path: Path) -> None:
    assert library_files((tmp_path,)) == []


def test_a_wheel_brings_the_library_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["data-files"]["share/tracehound/tracingpolicies"]
    packed = {path for pattern in globs for path in ROOT.glob(pattern)}
    assert packed == {*library_files(), ROOT / "tracingpolicies/profiles.yaml"}
