# SPDX-License-Identifier: Apache-2.0
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.log.disk import Condition, DiskState, SegmentFile, state_of


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SegmentFile]:
    file = SegmentFile(tmp_path / "segment", None)
    yield file
    file.close()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Writes beyond this size fail with EFBIG, in the middle of the data if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_segment_may_be_read_by_its_group_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        file = SegmentFile(tmp_path / "segment", os.getegid())
    finally:
        os.umask(before)
    file.close()
    assert file.path.stat().st_mode & 0o777 == 0o640


def test_an_existing_file_is_never_taken_for_a_new_segment(tmp_path: Path) -> None:
    (tmp_path / "segment").touch()
    with pytest.raises(FileExistsError):
        SegmentFile(tmp_path / "segment", None)


def test_a_line_that_does_not_fit_is_cut_off_again(file: SegmentFile) -> None:
    with largest_file(10):
        error = file.append(b"one\ntwo\nthree\n", 3)
    assert error is not None and error.errno == errno.EFBIG
    assert (file.size, file.lines) == (8, 2)
    assert file.path.read_bytes() == b"one\ntwo\n"


def test_writing_goes_on_after_the_cut(file: SegmentFile) -> None:
    with largest_file(10):
        file.append(b"one\ntwo\nthree\n", 3)
    assert file.append(b"three\n", 1) is None
    assert file.path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_cut_that_failed_is_made_up_for(file: SegmentFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    with largest_file(6), monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", refuse)
        assert file.append(b"one\ntwo\n", 2) is not None
        assert file.append(b"two\n", 1) is not None
    assert file.path.read_bytes() == b"one\ntw"
    assert file.append(b"two\n", 1) is None
    assert file.path.read_bytes() == b"one\ntwo\n"


@pytest.mark.root
def test_a_full_disk_leaves_whole_lines_only(small_disk: Path) -> None:
    file = SegmentFile(small_disk / "segment", None)
    line = b"x" * 999 + b"\n"
    error = file.append(line * 400, 400)
    assert error is not None and state_of(error) is DiskState.DISK_FULL
    assert file.path.read_bytes() == line * file.lines
    assert 0 < file.lines < 400
    file.close()


def test_a_file_in_its_place_is_not_lost(file: SegmentFile) -> None:
    file.append(b"one\n", 1)
    assert not file.is_lost()


def test_a_removed_file_is_lost_with_all_its_lines(file: SegmentFile) -> None:
    file.append(b"one\ntwo\n", 2)
    file.path.unlink()
    assert file.is_lost() and file.missing_lines() == 2


def test_a_replaced_file_is_lost_with_all_its_lines(file: SegmentFile) -> None:
    file.append(b"one\ntwo\n", 2)
    file.path.rename(file.path.with_name("moved"))
    file.path.write_bytes(b"three\nfour\n")
    assert file.is_lost() and file.missing_lines() == 2


def test_a_file_that_was_cut_has_lost_what_was_cut(file: SegmentFile) -> None:
    file.append(b"one\ntwo\n", 2)
    os.truncate(file.path, 4)
    assert file.is_lost() and file.missing_lines() == 1


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.ENOSPC, DiskState.DISK_FULL),
        (errno.EDQUOT, DiskState.DISK_FULL),
        (errno.EROFS, DiskState.READ_ONLY),
        (errno.ENOENT, DiskState.VANISHED),
        (errno.EIO, DiskState.IO_ERROR),
    ],
)
def test_an_error_is_named_by_what_has_to_be_mended(number: int, state: DiskState) -> None:
    assert state_of(OSError(number, "")) is state


def test_trouble_is_counted_from_its_first_error() -> None:
    condition = Condition()
    condition.failed(DiskState.DISK_FULL, "full", 5)
    condition.failed(DiskState.IO_ERROR, "worse", 9)
    assert (condition.state, condition.since_ns, condition.error) == (DiskState.IO_ERROR, 5, "worse")
    condition.works()
    assert (condition.state, condition.since_ns, condition.error) == (DiskState.OK, None, "")
