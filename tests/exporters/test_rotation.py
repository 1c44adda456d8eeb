# SPDX-License-Identifier: Apache-2.0
import gzip
import os
from pathlib import Path

import pytest

from exporters.rotation import Rotating


def rotating(path: Path, **options: object) -> Rotating:
    keys: dict[str, object] = {
        "most_bytes": 100,
        "most_seconds": 0,
        "keep": 5,
        "compress": False,
        "mode": 0o600,
    }
    return Rotating(path, **keys | options)  # type: ignore[arg-type]


def test_a_file_begins_anew_before_it_is_too_large(tmp_path: Path) -> None:
    file = rotating(tmp_path / "out.json", keep=2)
    for number in range(10):
        file.write(b"%d" % number * 59 + b"\n")
    file.close()
    sizes = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert sizes == [60, 60, 60] and (tmp_path / "out.json").read_bytes()[:1] == b"9"
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o600


def test_a_file_begins_anew_when_it_is_old(tmp_path: Path) -> None:
    now = [1000.0]
    file = rotating(tmp_path / "out.json", most_seconds=60, now=lambda: now[0])
    file.write(b"a\n")
    now[0] = 1061.0
    file.write(b"b\n")
    file.close()
    assert (tmp_path / "out-1970-01-01T00-17-41.000.json").read_bytes() == b"a\n"


def test_older_files_may_be_compressed(tmp_path: Path) -> None:
    file = rotating(tmp_path / "out.json", compress=True)
    file.write(b"a" * 90 + b"\n")
    file.write(b"b" * 90 + b"\n")
    file.close()
    [old] = tmp_path.glob("*.gz")
    assert gzip.decompress(old.read_bytes()) == b"a" * 90 + b"\n"
    assert old.stat().st_mode & 0o777 == 0o600


def test_a_file_that_somebody_moved_is_made_again(tmp_path: Path) -> None:
    file = rotating(tmp_path / "out.json")
    file.write(b"a\n")
    os.rename(tmp_path / "out.json", tmp_path / "mine")
    file.write(b"b\n")
    file.close()
    assert (tmp_path / "out.json").read_bytes() == b"b\n"


def test_a_line_that_a_crash_left_half_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_bytes(b"a\nhal")
    file = rotating(tmp_path / "out.json")
    file.write(b"b\n")
    file.close()
    assert (tmp_path / "out.json").read_bytes() == b"a\nb\n"


@pytest.mark.root
def test_a_full_disk_leaves_whole_lines(small_disk: Path) -> None:
    file = rotating(small_disk / "out.json", most_bytes=0)
    with pytest.raises(OSError, match="No space"):
        for _ in range(1000):
            file.write((b"x" * 999 + b"\n") * 7)
    file.close()
    assert (small_disk / "out.json").stat().st_size % 7000 == 0
