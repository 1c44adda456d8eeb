# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.log.chain import SegmentChain
from agent.log.segments import list_segments
from agent.settings import LogSettings

from .conftest import FACTS, records_of

NOW_NS = 1_767_225_600 * 10**9


@pytest.fixture
def chain(log_dir: Path) -> Iterator[SegmentChain]:
    chain = SegmentChain(LogSettings(dir=str(log_dir), group=""), FACTS)
    chain.take_directory()
    yield chain
    chain.close()


def test_the_directory_is_made_for_its_group(chain: SegmentChain, log_dir: Path) -> None:
    assert log_dir.stat().st_mode & 0o777 == 0o750


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    chain = SegmentChain(LogSettings(dir=str(tmp_path), group=""), FACTS)
    chain.take_directory()
    chain.close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to any group")
def test_segments_and_directory_belong_to_the_group_of_the_settings(tmp_path: Path) -> None:
    chain = SegmentChain(LogSettings(dir=str(tmp_path / "log"), group="daemon"), FACTS)
    chain.take_directory()
    chain.begin(1, NOW_NS)
    paths = [tmp_path / "log", *(tmp_path / "log").glob("*.jsonl")]
    assert {path.group() for path in paths} == {"daemon"} and len(paths) == 2
    chain.close()


def test_every_segment_names_the_one_before(chain: SegmentChain, log_dir: Path) -> None:
    chain.begin(1, NOW_NS)
    chain.begin(2, NOW_NS)
    first, second = records_of(log_dir)
    assert "previous" not in first["tracehound"]["segment"]
    assert second["tracehound"]["segment"]["previous"] == str(list_segments(log_dir)[0])


def test_names_rise_though_the_clock_falls(chain: SegmentChain, log_dir: Path) -> None:
    for i in range(5):
        chain.begin(5 - i, NOW_NS - i * 3600 * 10**9)
    assert [name.first_sequence for name in list_segments(log_dir)] == [5, 4, 3, 2, 1]


def test_a_segment_that_cannot_be_begun_leaves_the_open_one_in_place(
    chain: SegmentChain, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.begin(1, NOW_NS)
    before = chain.file

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(28, "full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(os, "write", refuse)
        chain.begin(2, NOW_NS)
    assert chain.file is before
    assert sorted(path.name for path in log_dir.iterdir()) == [str(list_segments(log_dir)[0]), "lock"]


def test_a_segment_has_its_name_when_its_first_line_stands_in_it(
    chain: SegmentChain, log_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, write = [], os.write

    def look(fd: int, data: bytes) -> int:
        seen.append(len(list_segments(log_dir)))
        return write(fd, data)

    monkeypatch.setattr(os, "write", look)
    chain.begin(1, NOW_NS)
    chain.begin(2, NOW_NS)
    assert seen == [0, 1, 2]  # the last write is the manifest's


def test_a_log_of_one_segment_misses_none(chain: SegmentChain) -> None:
    chain.begin(1, NOW_NS)
    assert chain.missing() == []


def test_removed_closed_segments_are_told_once(chain: SegmentChain, log_dir: Path) -> None:
    for sequence in (1, 2, 3):
        chain.begin(sequence, NOW_NS)
    (log_dir / str(list_segments(log_dir)[0])).unlink()
    assert [(gone.name.first_sequence, gone.last_sequence) for gone in chain.missing()] == [(1, 1)]
    assert chain.missing() == []


def test_closed_segments_do_not_pile_up_open_files(chain: SegmentChain) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for sequence in range(100):
        chain.begin(sequence, NOW_NS)
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 20
    chain.sync()
    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1
