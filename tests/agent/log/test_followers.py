# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from agent.log.entry import Cursor
from agent.log.followers import Configured, read_followers
from agent.log.retention import Follower

NAME = "1767225600000-000000000001.jsonl"


def test_the_first_line_of_a_cursor_file_is_the_place(tmp_path: Path) -> None:
    (tmp_path / "siem").mkdir()
    (tmp_path / "siem" / "cursor").write_text(f"{NAME}:120:7\nboot-a\n")
    assert read_followers(tmp_path, {"siem": True}) == [Follower("siem", True, Cursor(NAME, 120, 7))]


@pytest.mark.parametrize("content", ["", "garbage", f"{NAME}:x:1", "\x00" * 300, "é:1:1"])
def test_a_damaged_cursor_is_a_place_before_everything(tmp_path: Path, content: str) -> None:
    (tmp_path / "siem").mkdir()
    (tmp_path / "siem" / "cursor").write_text(content)
    assert read_followers(tmp_path, {"siem": False}) == [Follower("siem", False, None)]


def test_an_exporter_that_never_ran_has_read_nothing(tmp_path: Path) -> None:
    assert read_followers(tmp_path / "absent", {"siem": True}) == [Follower("siem", True, None)]


def test_the_files_of_exporters_say_which_are_required(tmp_path: Path) -> None:
    (tmp_path / "siem.yaml").write_text("type: splunk\nrequired: true\n")
    (tmp_path / "chat.yml").write_text("type: http\n")
    (tmp_path / "README").write_text("required: true")
    (tmp_path / "single").write_text("required: yes\n")
    found = Configured()([str(tmp_path / "single")], [str(tmp_path), str(tmp_path / "absent")])
    assert found == {"siem": True, "chat": False, "single": True}


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    configured, path = Configured(), tmp_path / "siem.yaml"
    path.write_text("required: true")
    assert configured([str(path)], []) == {"siem": True}
    path.write_text("required: false")
    os.utime(path, (1, 1))
    assert configured([str(path)], []) == {"siem": False}


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"a: b: c"])
def test_a_file_that_cannot_be_read_counts_as_required(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "siem.yaml"
    path.write_bytes(content)
    assert Configured()([str(path), str(tmp_path / "gone.yaml")], []) == {"siem": True, "gone": True}
