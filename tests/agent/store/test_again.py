# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from agent.store import parquet
from agent.store.again import Lines, Odd, quoted
from agent.store.reading import SegmentReading
from agent.store.rebuild import Rebuilder, _columns, metadata_of
from agent.store.schema import REBUILD
from tests.agent.store.support import golden_lines


def stored(tmp_path: Path, content: bytes) -> tuple[object, bytes]:
    """The row group of a segment, and what all of its lines have in the middle."""
    source, target = tmp_path / "s.jsonl", tmp_path / "s.parquet"
    source.write_bytes(content)
    reading = SegmentReading(source)
    parquet.write(target, reading.tables(), reading.metadata)
    with parquet.opened(target) as file:
        return file.read_row_group(0, columns=list(REBUILD)), metadata_of(file)["middle"].encode()


def test_columns_give_the_lines_byte_for_byte(tmp_path: Path) -> None:
    content = "".join(f"{line}\n" for line in golden_lines()).encode(errors="surrogateescape")
    assert b"".join(map(bytes, Lines(*stored(tmp_path, content)).blocks())) == content  # type: ignore[arg-type]


def test_they_are_the_lines_that_rows_give_one_by_one(tmp_path: Path) -> None:
    content = "".join(f"{line}\n" for line in golden_lines()).encode(errors="surrogateescape")
    table, middle = stored(tmp_path, content)
    texts = Rebuilder(middle.decode()).texts(_columns(table))  # type: ignore[arg-type]
    alone = "".join(f"{text}\n" for text in texts).encode(errors="surrogateescape")
    assert b"".join(map(bytes, Lines(table, middle).blocks())) == alone  # type: ignore[arg-type]


def test_rows_with_long_texts_are_written_a_few_at_a_time(tmp_path: Path) -> None:
    line = next(line for line in golden_lines() if line.startswith('{"process_exec"'))
    long = line.replace('"arguments":"', '"arguments":"' + "x" * (2 << 20), 1)
    content = f"{line}\n".encode() * 40 + f"{long}\n".encode() * 2
    blocks = [bytes(block) for block in Lines(*stored(tmp_path, content)).blocks()]  # type: ignore[arg-type]
    assert b"".join(blocks) == content and len(blocks) == 3


def test_a_file_of_an_older_schema_is_left_to_others(tmp_path: Path) -> None:
    table, middle = stored(tmp_path, b"x\n")
    with pytest.raises(Odd):
        Lines(table.drop_columns(["lineage"]), middle)  # type: ignore[attr-defined]


def test_texts_without_dictionaries_are_left_to_others(tmp_path: Path) -> None:
    table, middle = stored(tmp_path, "".join(f"{line}\n" for line in golden_lines()[:9]).encode())
    pq.write_table(table, tmp_path / "plain.parquet", store_schema=False)
    with pytest.raises(Odd):
        Lines(pq.read_table(tmp_path / "plain.parquet"), middle)


def test_what_json_escapes_is_escaped() -> None:
    import pyarrow as pa

    words = ["plain", 'a"b\\', "\x01\n", "ü\x7f"]
    assert quoted(pa.array(words)).to_pylist() == [b"plain", b'a\\"b\\\\', b"\\u0001\\n", "ü\x7f".encode()]
