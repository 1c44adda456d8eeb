# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from exporters.control import Control, Replay, Watched, read_control, write_control


def test_a_wish_is_read_back_and_leaves_others_as_they_are(tmp_path: Path) -> None:
    write_control(tmp_path / "x", paused=True)
    write_control(tmp_path / "x", replay=Replay("a", 1, 2))
    assert read_control(tmp_path / "x") == Control(True, Replay("a", 1, 2))


def test_wishes_are_nobody_else_s_business(tmp_path: Path) -> None:
    write_control(tmp_path, paused=True)
    assert (tmp_path / "control.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_holds_no_wishes(tmp_path: Path) -> None:
    for text in ("", "[]", '{"replay":{"no":1}}', "{"):
        (tmp_path / "control.json").write_text(text)
        assert read_control(tmp_path) == Control()


def test_a_change_is_noticed(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert not watched.look().paused
    write_control(tmp_path, paused=True)
    assert watched.look().paused
    write_control(tmp_path, paused=False)
    assert not watched.look().paused
