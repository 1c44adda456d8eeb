# SPDX-License-Identifier: Apache-2.0
"""Parquet files of the store: how they are written, opened and described. Needs pyarrow (extra `store`)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agent.store.schema import COLUMNS, FORMAT

LEVEL = 3
"""Of zstd."""
_DELTA = ("time", "sequence")
"""Numbers that grow: stored as differences (Parquet format, DELTA_BINARY_PACKED)."""
_TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "VARCHAR": pa.dictionary(pa.int32(), pa.string()),
    "VARCHAR[]": pa.list_(pa.string()),
    "TIMESTAMP_NS": pa.timestamp("ns"),
}
SCHEMA = pa.schema([(column.name, _TYPES[column.type]) for column in COLUMNS])
_WORDS = [column.name for column in COLUMNS if column.type == "VARCHAR"]
_REPEATED = [
    f"{column.name}.list.element" if column.type == "VARCHAR[]" else column.name
    for column in COLUMNS
    if column.name not in _DELTA
]
_LARGEST_DICTIONARY = 1 << 28


def write(
    path: Path, tables: Iterable[pa.Table], metadata: Callable[[], Mapping[str, str]], *, durable: bool = True
) -> None:
    """Writes a file of one row group per table and forces it to disk. `metadata` is asked when all tables are
    written, so that it may tell what was found in them. Raises OSError."""
    with path.open("wb") as raw:
        writer = pq.ParquetWriter(
            raw,
            SCHEMA,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=_REPEATED,
            column_encoding=dict.fromkeys(_DELTA, "DELTA_BINARY_PACKED"),
            dictionary_pagesize_limit=_LARGEST_DICTIONARY,
            store_schema=False,
            write_page_checksum=True,
        )
        try:
            for table in tables:
                writer.write_table(table, row_group_size=max(1, len(table)))
            about = {"format": str(FORMAT), **metadata()}
            writer.add_key_value_metadata({f"tracehound.{key}": value for key, value in about.items()})
        finally:
            writer.close()
        raw.flush()
        if durable:
            os.fsync(raw.fileno())


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file to read row groups from; texts come as dictionaries. Raises OSError, and ValueError when it is
    damaged."""
    with damage_told(path):
        try:
            file = _open(path, _WORDS)
        except KeyError:  # of an older schema
            there = set(pq.read_schema(path).names)
            file = _open(path, [name for name in _WORDS if name in there])
    with file:
        yield file


def _open(path: Path, words: list[str]) -> pq.ParquetFile:
    return pq.ParquetFile(path, read_dictionary=words, pre_buffer=False, page_checksum_verification=True)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """What pyarrow says of a damaged file becomes ValueError; errors of the disk stay OSError."""
    try:
        yield
    except pa.ArrowException as error:
        raise ValueError(f"{path}: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ValueError(f"{path}: {error}") from error


def sha256_of(path: Path) -> str:
    """Of all its bytes, as hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
