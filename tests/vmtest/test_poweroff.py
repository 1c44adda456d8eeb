# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
from pathlib import Path

import pytest

from vmtest import poweroff
from vmtest.poweroff import Round
from vmtest.poweroffguest import Plan
from vmtest.writelog import Cut

PLAN = Plan(fsync_seconds=0, acknowledged=0, compacts=False, first=True, last=False, control=False)


def rounds(found: int, *problems: str) -> list[Round]:
    """A boot that acknowledged ten events, and what the next one found of them."""
    first = {"problems": [], "last": 0, "segments": {"open": 1}}
    second = {"problems": list(problems), "last": found, "segments": {}, "verify": "0: intact"}
    return [
        Round(PLAN, first, 12, 10, Cut(3, 40, 5, 0)),
        Round(PLAN._replace(acknowledged=10, first=False, last=True), second),
    ]


def test_the_sum_says_what_was_lost() -> None:
    assert poweroff.report(rounds(12))[0] == "1 power cuts, 10 events acknowledged, 0 lost"
    assert poweroff.report(rounds(7, "bad")) == [
        "1 power cuts, 10 events acknowledged, 3 lost",
        "tracehound log verify: exit status 0: intact",
        "boot 1: bad",
    ]


def test_only_whole_words_of_the_guest_count(tmp_path: Path) -> None:
    told = tmp_path / "told"
    assert poweroff.told(told) == (0, 0)
    told.write_text("20 0\n40 20\n60 4")
    assert poweroff.told(told) == (40, 20)


def test_the_disk_is_a_file_system(tmp_path: Path) -> None:
    poweroff.make_disk(tmp_path / "disk")
    magic = (tmp_path / "disk").read_bytes()[1024 + 0x38 :][:2]  # s_magic, fs/ext4/ext4.h
    assert magic == b"\x53\xef"


def test_a_comma_in_a_path_does_not_end_an_option() -> None:
    assert "file.filename=/a,,b/disk" in poweroff.disk_options(Path("/a,b/disk"), Path("/log"))[1]


def test_kill_returns_when_the_whole_group_is_gone() -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"], start_new_session=True)
    poweroff.kill(process)
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
