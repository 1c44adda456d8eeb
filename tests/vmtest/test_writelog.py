# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from vmtest.kernels import VmtestError
from vmtest.writelog import DISCARD, ENTRY, FLUSH, MAGIC, SECTOR_BYTES, SUPER, cut_power

Request = tuple[int, int, bytes]
FIRST, SECOND, THIRD = (letter * SECTOR_BYTES for letter in (b"1", b"2", b"3"))


def write_log(path: Path, *requests: Request, count: int | None = None) -> Path:
    """Requests are a sector, flags and data."""
    data = SUPER.pack(MAGIC, 1, len(requests) if count is None else count, SECTOR_BYTES).ljust(SECTOR_BYTES)
    for sector, flags, content in requests:
        head = ENTRY.pack(sector, len(content) // SECTOR_BYTES, flags, 0)
        data += head.ljust(SECTOR_BYTES, b"\0") + content
    path.write_bytes(data)
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Four sectors of zeros."""
    path = tmp_path / "disk"
    path.write_bytes(bytes(4 * SECTOR_BYTES))
    return path


def sectors(disk: Path) -> bytes:
    """The first byte of each."""
    return disk.read_bytes()[::SECTOR_BYTES]


def test_what_was_flushed_stays_and_what_was_not_is_gone(disk: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", (0, 0, FIRST + SECOND), (0, FLUSH, b""), (0, 0, THIRD), (3, 0, THIRD))
    assert cut_power(disk, log, lambda: False) == (1, 2, 2, 0)
    assert sectors(disk) == b"12\0\0"


def test_a_disk_may_have_written_any_of_the_rest(disk: Path, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", (0, FLUSH, b""), (1, 0, FIRST + SECOND + THIRD))
    fates = iter([True, False, True])
    assert cut_power(disk, log, lambda: next(fates)) == (1, 0, 1, 2)
    assert sectors(disk) == b"\x001\x003"


def test_without_a_flush_nothing_is_sure(disk: Path, tmp_path: Path) -> None:
    cut_power(disk, write_log(tmp_path / "log", (0, 0, FIRST)), lambda: False)
    assert sectors(disk) == bytes(4)


@pytest.mark.parametrize(
    ("requests", "count", "problem"),
    [
        ([(0, 0, FIRST)], 2, "entry 2 of 2 is not whole"),
        ([(0, DISCARD, b"")], 1, "a discard"),
    ],
)
def test_a_log_that_does_not_tell_everything_is_refused(
    disk: Path, tmp_path: Path, requests: list[Request], count: int, problem: str
) -> None:
    log = write_log(tmp_path / "log", *requests, count=count)
    with pytest.raises(VmtestError, match=problem):
        cut_power(disk, log, lambda: False)


def test_another_file_is_no_log(disk: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(bytes(SECTOR_BYTES))
    with pytest.raises(VmtestError, match="no log of writes"):
        cut_power(disk, log, lambda: False)
