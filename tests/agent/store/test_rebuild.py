# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.store import parquet
from agent.store.reading import SegmentReading
from agent.store.rebuild import REBUILD, line, lines, lines_where, metadata_of
from tests.agent.store.support import golden_lines, plain_rows

HOSTILE = [
    b"garbage",
    b"",
    b',"x',
    b"\x03",
    b"\xff\xfe",
    b'{"a":"\xc3"}',
    b"\x00",
    b'{"b":"\\u0000"}',
    b"\t{}",
    b"\x04",
]


def written(tmp_path: Path, content: bytes) -> Path:
    source, target = tmp_path / "s.jsonl", tmp_path / "s.parquet"
    source.write_bytes(content)
    reading = SegmentReading(source)
    parquet.write(target, reading.tables(), reading.metadata)
    return target


@pytest.mark.parametrize("end", [b"\n", b""])
def test_lines_come_back_byte_for_byte(tmp_path: Path, end: bytes) -> None:
    golden = [text.encode(errors="surrogateescape") for text in golden_lines()]
    content = b"\n".join([*golden, *HOSTILE, *golden[::-1]]) + end
    assert b"".join(lines(written(tmp_path, content))) == content


def test_an_empty_segment_comes_back_empty(tmp_path: Path) -> None:
    assert list(lines(written(tmp_path, b""))) == []


def test_a_row_gives_its_line(tmp_path: Path) -> None:
    text = golden_lines()[0].encode()
    with parquet.opened(written(tmp_path, text + b"\n")) as file:
        row = plain_rows(file.read().select(list(REBUILD)))[0]
        assert line(row, metadata_of(file)["middle"]) == text


def test_only_the_wanted_rows_are_written_again(tmp_path: Path) -> None:
    texts = [text for text in golden_lines() if '"binary":"/bin/ls"' in text]
    path = written(tmp_path, "\n".join(golden_lines()).encode(errors="surrogateescape"))
    found = list(lines_where(path, "exe", {"/bin/ls", "'; DROP"}))
    assert texts
    assert set(texts) >= {one.decode() for one in found} != set()


@pytest.mark.parametrize("at", [10, 2000, 9000])
def test_a_flipped_bit_is_noticed_or_told(tmp_path: Path, at: int) -> None:
    content = "\n".join(golden_lines()).encode(errors="surrogateescape") + b"\n"
    path = written(tmp_path, content)
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 0x10
    path.write_bytes(bytes(damaged))
    try:
        assert b"".join(lines(path)) != content
    except ValueError:
        return


def test_a_truncated_file_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, b"x\n" * 100)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"s\.parquet"):
        list(lines(path))
