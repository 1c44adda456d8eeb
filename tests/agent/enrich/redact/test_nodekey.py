# SPDX-License-Identifier: Apache-2.0
"""The node's key and its file."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.enrich.redact.nodekey import load_key
from agent.errors import PermissionMissing, SettingsError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "redaction.key"


def test_the_key_is_made_once_and_kept(path: Path) -> None:
    first = load_key(path)
    assert len(first.key) == 32 and first.notice is None
    assert load_key(path) == first
    assert path.read_bytes() == first.key


def test_only_the_owner_can_use_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        load_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_two_keys_differ(tmp_path: Path) -> None:
    assert load_key(tmp_path / "a").key != load_key(tmp_path / "b").key


def test_processes_that_start_together_get_the_same_key(path: Path) -> None:
    code = (
        "import sys; from agent.enrich.redact.nodekey import load_key; print(load_key(sys.argv[1]).key.hex())"
    )
    run = [sys.executable, "-c", code, str(path)]
    children = [subprocess.Popen(run, stdout=subprocess.PIPE) for _ in range(6)]
    assert {child.communicate()[0] for child in children} == {load_key(path).key.hex().encode() + b"\n"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o700 | 0o001])
def test_a_file_that_others_can_use_is_refused(path: Path, mode: int) -> None:
    load_key(path)
    path.chmod(mode)
    with pytest.raises(PermissionMissing, match=f"can be used by others \\(mode 0{mode:o}\\)") as caught:
        load_key(path)
    assert f"chmod 600 {path}" in caught.value.hint


@pytest.mark.parametrize(("content", "size"), [(b"", "0"), (b"x" * 31, "31"), (b"x" * 33, "more")])
def test_a_file_that_is_no_key_is_refused(path: Path, content: bytes, size: str) -> None:
    load_key(path)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"32 bytes are expected .*, this file has {size}"):
        load_key(path)


def test_a_directory_or_fifo_in_its_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "dir").mkdir(0o700)
    for name in ("fifo", "dir"):
        with pytest.raises(SettingsError, match="not a regular file"):
            load_key(tmp_path / name)


def test_a_link_to_a_key_is_not_followed(path: Path, tmp_path: Path) -> None:
    load_key(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(SettingsError, match="not a regular file"):
        load_key(link)


@pytest.mark.root
def test_a_key_of_another_user_is_refused(path: Path) -> None:
    load_key(path)
    os.chown(path, 12345, -1)
    os.chown(path.parent, 12345, -1)
    with pytest.raises(PermissionMissing, match="belongs to another user \\(uid 12345\\)"):
        load_key(path)


def test_where_no_file_can_be_made_the_key_lives_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "redaction.key", Path("/proc/redaction.key")):
        first, second = load_key(place), load_key(place)
        assert len(first.key) == 32 and first.key != second.key
        assert first.notice is not None and f"cannot be kept in {place} (" in first.notice


@pytest.mark.root
def test_on_a_read_only_file_system_the_key_lives_in_memory(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; from agent.enrich.redact.nodekey import load_key;"
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'ro', 'none', sys.argv[1]], check=True);"
        "print(load_key(sys.argv[1] + '/redaction.key').notice)"
    )
    run = ["unshare", "--mount", sys.executable, "-c", code, str(tmp_path)]
    out = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    assert "(Read-only file system): redacted values of this run cannot be joined" in out
