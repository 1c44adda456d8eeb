# SPDX-License-Identifier: Apache-2.0
"""Addresses of processes: this process is one."""

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from agent.policy.usercode import UserCode, build_id_of, import_bcc

GETPID = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value or 0


def test_an_address_tells_its_file_and_the_place_in_it() -> None:
    (frame,) = UserCode().frames(os.getpid(), (GETPID,))
    assert "libc" in frame.module
    assert 0 < frame.offset < os.stat(frame.module).st_size or frame.symbol


@pytest.mark.root
@pytest.mark.skipif(import_bcc() is not None, reason="bcc is installed: functions have names")
def test_without_names_the_build_id_is_told() -> None:
    (frame,) = UserCode().frames(os.getpid(), (GETPID,))
    words = subprocess.run(["readelf", "-n", frame.module], capture_output=True, text=True, check=True).stdout
    assert f"Build ID: {frame.build_id}\n" in words
    assert frame.build_id


def test_addresses_outside_of_all_files_tell_nothing() -> None:
    (frame,) = UserCode().frames(os.getpid(), (8,))
    assert frame[:3] == (0, "", "")


def test_a_process_that_is_gone_has_no_frames() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert UserCode().frames(child.pid, (GETPID,)) == []


def test_a_file_that_is_no_program_has_no_build_id(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("words" * 100)
    assert build_id_of(tmp_path / "text") == ""
    assert build_id_of(tmp_path / "none") == ""
