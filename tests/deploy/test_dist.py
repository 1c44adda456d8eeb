# SPDX-License-Identifier: Apache-2.0
"""The offline archive: installed, and run where there is nothing else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def installed(unpacked: Path, tmp_path: Path) -> Path:
    """An empty root into which it was installed."""
    command = [str(unpacked / "install.sh")]
    subprocess.run(command, env={**os.environ, "DESTDIR": str(tmp_path)}, check=True, capture_output=True)
    return tmp_path


@pytest.mark.root
def test_it_runs_where_there_is_neither_python_nor_a_c_library(installed: Path) -> None:
    assert not (installed / "lib").exists() and not (installed / "usr/lib").exists()
    command = ["chroot", str(installed), "/opt/tracehound/bin/tracehound", "version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("tracehound "), done.stderr


@pytest.mark.root
def test_its_settings_are_good(installed: Path) -> None:
    command = ["chroot", str(installed), "/opt/tracehound/bin/tracehound", "config", "check"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.root
def test_every_program_of_it_finds_its_libraries_inside(installed: Path) -> None:
    loader = next((installed / "opt/tracehound/lib").glob("ld-*.so*"))
    inside = Path("/", loader.relative_to(installed))
    missing = []
    for file in (installed / "opt/tracehound/lib").rglob("*.so*"):
        words = ["chroot", str(installed), str(inside), "--list", f"/{file.relative_to(installed)}"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        missing += [line for line in done.stdout.splitlines() if "not found" in line and _is_foreign(line)]
    assert missing == []


def _is_foreign(line: str) -> bool:
    """Whether no file of the archive has the name; what Python has loaded before needs no path."""
    return line.split()[0] not in ("libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6")


def test_the_archive_is_whole(archive: Path) -> None:
    command = ["sha256sum", "-c", f"{archive.name}.sha256"]
    assert subprocess.run(command, cwd=archive.parent, capture_output=True, check=False).returncode == 0
