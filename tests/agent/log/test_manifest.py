# SPDX-License-Identifier: Apache-2.0
import hashlib
from pathlib import Path

import orjson
import pytest

from agent.log.manifest import (
    MANIFEST_NAME,
    BadLine,
    Closed,
    Compacted,
    Compaction,
    Expired,
    Fact,
    line_hash,
    manifest_line,
    read_manifest,
)

NAME = "1767225600000-000000000001.jsonl"
CLOSED = Closed(NAME, 1, 10, 10, 900, "ab" * 32, "boot-a")
COMPACTED = Compacted(NAME, "ab" * 32, "store/x.parquet", "cd" * 32, 10, 1, 10)
EXPIRED = Expired(NAME, "age", "ab" * 32, 1, 10, 100, {"siem": 3})


def write(directory: Path, *facts: Fact) -> list[bytes]:
    lines: list[bytes] = []
    for fact in facts:
        lines.append(manifest_line(fact, line_hash(lines[-1]) if lines else "", 0))
    (directory / MANIFEST_NAME).write_bytes(b"".join(lines))
    return lines


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, CLOSED, COMPACTED, EXPIRED)
    manifest = read_manifest(tmp_path)
    assert manifest.closed == {NAME: CLOSED}
    assert manifest.compacted == {NAME: COMPACTED}
    assert manifest.expired == {NAME: EXPIRED}
    assert manifest.first_bad is None and manifest.torn_bytes == 0


def test_every_line_holds_the_hash_of_the_one_before(tmp_path: Path) -> None:
    first, second = write(tmp_path, CLOSED, EXPIRED)
    assert orjson.loads(first)["previous"] == ""
    assert orjson.loads(second)["previous"] == hashlib.sha256(first).hexdigest()
    assert read_manifest(tmp_path).head == hashlib.sha256(second).hexdigest()


def test_a_log_without_a_manifest_has_an_empty_one(tmp_path: Path) -> None:
    manifest = read_manifest(tmp_path)
    assert (manifest.head, manifest.closed, manifest.first_bad) == ("", {}, None)


def test_a_last_line_that_is_not_whole_is_no_line(tmp_path: Path) -> None:
    lines = write(tmp_path, CLOSED, EXPIRED)
    (tmp_path / MANIFEST_NAME).write_bytes(lines[0] + lines[1][:-9])
    manifest = read_manifest(tmp_path)
    assert (manifest.size, manifest.torn_bytes) == (len(lines[0]), len(lines[1]) - 9)
    assert not manifest.expired and manifest.first_bad is None


@pytest.mark.parametrize(
    ("keep", "number", "problem"),
    [([0, 2], 2, "does not go on"), ([1, 2], 1, "is the first line"), ([1, 0, 2], 1, "is the first line")],
)
def test_lines_that_were_removed_or_changed_places_show(
    tmp_path: Path, keep: list[int], number: int, problem: str
) -> None:
    lines = write(tmp_path, CLOSED, COMPACTED, EXPIRED)
    (tmp_path / MANIFEST_NAME).write_bytes(b"".join(lines[i] for i in keep))
    bad = read_manifest(tmp_path).first_bad
    assert bad is not None and bad.number == number and problem in bad.problem


def test_a_changed_line_shows_at_the_line_after_it(tmp_path: Path) -> None:
    lines = write(tmp_path, CLOSED, COMPACTED, EXPIRED)
    (tmp_path / MANIFEST_NAME).write_bytes(b"".join(lines).replace(b'"lines":10', b'"lines":11'))
    bad = read_manifest(tmp_path).first_bad
    assert bad is not None and bad.number == 2


@pytest.mark.parametrize(
    "line",
    [b"\x00\xff\n", b"[]\n", b'{"closed":{}}\n', b'{"closed":{"segment":[]}}\n', b'{"closed":3}\n', b"\n"],
)
def test_garbage_is_named_and_passed(tmp_path: Path, line: bytes) -> None:
    good = manifest_line(EXPIRED, line_hash(line), 0)
    (tmp_path / MANIFEST_NAME).write_bytes(line + good)
    manifest = read_manifest(tmp_path)
    assert manifest.first_bad == BadLine(1, "is not a line of a manifest")
    assert manifest.expired == {NAME: EXPIRED}


def test_kinds_of_later_versions_hold_the_chain(tmp_path: Path) -> None:
    later = orjson.dumps({"previous": "", "time": "", "sealed": {"segment": NAME}}) + b"\n"
    (tmp_path / MANIFEST_NAME).write_bytes(later + manifest_line(CLOSED, line_hash(later), 0))
    assert read_manifest(tmp_path).first_bad is None


def test_a_compactor_tells_what_it_did_in_one_object() -> None:
    made = Compaction(NAME, "ab" * 32, "cd" * 32, 10, 1, 10)
    assert Compaction.parse(orjson.dumps(made._asdict())) == made


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"segment":"x"}', "null"])
def test_another_text_is_no_compaction(text: str) -> None:
    with pytest.raises(ValueError, match="not the account of a compaction"):
        Compaction.parse(text)
