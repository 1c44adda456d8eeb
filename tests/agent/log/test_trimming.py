# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest

from agent.log.ledger import Ledger
from agent.log.manifest import (
    KEPT,
    MANIFEST_NAME,
    Closed,
    Compacted,
    Expired,
    Fact,
    fact_of,
    line_hash,
    manifest_line,
    read_manifest,
)  # fmt: skip
from agent.log.trimming import MOST_LINES, droppable
from agent.log.verify import verify

from .conftest import MakeWriter
from .test_upkeep import fill

ROOT = Path(__file__).parents[3]
OLD = 500
"""Segments that are gone, as many as make it worth it."""


def facts(gone: int) -> list[Fact]:
    """What the manifest says of segments that were closed, compacted and removed long ago."""
    told: list[Fact] = []
    for at in range(gone):
        name, sha256 = f"{1000000000000 + at}-{at * 10 + 1:012d}.jsonl", f"{at:064x}"
        first, last = at * 10 + 1, at * 10 + 10
        told.append(Closed(name, first, last, 10, 1000, sha256, "before"))
        told.append(Compacted(name, sha256, f"store/{name[:-6]}.parquet", sha256, 10, first, last))
        told.append(Expired(name, "age", sha256, first, last, 99))
    return told


def write(directory: Path, told: list[Fact]) -> None:
    head, lines = "", []
    for fact in told:
        lines.append(manifest_line(fact, head, 0))
        head = line_hash(lines[-1])
    directory.mkdir(exist_ok=True)
    (directory / MANIFEST_NAME).write_bytes(b"".join(lines))


@pytest.fixture
def old(log_dir: Path) -> Path:
    """A log directory with nothing but a long manifest."""
    write(log_dir, facts(OLD))
    return log_dir


def trim(directory: Path) -> int:
    ledger = Ledger(directory)
    ledger.open()
    return ledger.trim(0)


def test_lines_about_what_is_long_gone_are_taken_out(old: Path) -> None:
    before = read_manifest(old)
    assert trim(old) == 3 * (OLD - KEPT)
    after = read_manifest(old)
    assert after.first_bad is None and after.hashes[:-1] == before.hashes[3 * (OLD - KEPT) :]
    assert list(after.expired) == list(before.expired)[-KEPT:]
    assert (after.trims[0].lines, after.trims[0].segments) == (3 * (OLD - KEPT), OLD - KEPT)
    assert trim(old) == 0


def test_a_few_lines_are_left_alone(log_dir: Path) -> None:
    write(log_dir, facts(KEPT + MOST_LINES // 3 - 1))
    assert trim(log_dir) == 0


def test_what_is_still_there_ends_it(old: Path) -> None:
    told = facts(OLD)
    assert droppable(told, read_manifest(old)) == 3 * (OLD - KEPT)
    assert droppable([told[0]._replace(segment="1-1.jsonl"), *told[1:]], read_manifest(old)) == 0


def test_a_manifest_that_somebody_changed_stays_as_it_is(old: Path) -> None:
    path = old / MANIFEST_NAME
    path.write_bytes(path.read_bytes().replace(b'"reason":"age"', b'"reason":"size"', 1))
    before = path.read_bytes()
    assert trim(old) == 0 and path.read_bytes() == before


def test_the_log_goes_on_after_a_trimmed_manifest(old: Path, make_writer: MakeWriter) -> None:
    trim(old)
    writer = make_writer(segment_bytes=20_000)
    writer.record("retention", {"removed": list(read_manifest(old).expired)[-1]})
    fill(writer, 3)
    writer.close("done")
    make_writer().close("again")
    assert verify(old).faults == []


def test_the_agent_trims_when_it_removes(old: Path, make_writer: MakeWriter) -> None:
    writer = make_writer(segment_bytes=20_000, retention_bytes=60_000)
    fill(writer, 8)
    writer.tick()
    writer.close("done")
    manifest = read_manifest(old)
    assert len(manifest.trims) == 1 and len(manifest.hashes) < 3 * KEPT + 40
    assert verify(old).faults == []


def test_a_beginning_that_somebody_cut_off_is_told(old: Path) -> None:
    path = old / MANIFEST_NAME
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[3:]))
    bad = read_manifest(old).first_bad
    assert bad is not None and bad.number == 1 and "its beginning" in bad.problem


def test_what_somebody_trimmed_beyond_the_tombstones_that_stay_is_told(old: Path) -> None:
    trim(old)
    lines = (old / MANIFEST_NAME).read_bytes().splitlines(keepends=True)
    told = fact_of(lines[-1])
    assert told is not None
    forged = manifest_line(told._replace(head=line_hash(lines[8])), line_hash(lines[-2]), 0)
    (old / MANIFEST_NAME).write_bytes(b"".join([*lines[9:-1], forged]))
    bad = read_manifest(old).first_bad
    assert bad is not None and f"fewer than {KEPT}" in bad.problem


KILLED = """
import sys
from pathlib import Path
from agent.log.ledger import Ledger
from tests.agent.log.killed import arm
ledger = Ledger(Path(sys.argv[1]))
ledger.open()
arm(sys.argv[2], sys.argv[3], 1)
ledger.trim(0)
"""


KILLS = [(point, mode) for point in ("write", "fsync", "rotate") for mode in ("before", "after")]


@pytest.mark.parametrize(("point", "mode"), [*KILLS, ("write", "half")])
def test_killed_anywhere_it_leaves_one_manifest_or_the_other(old: Path, point: str, mode: str) -> None:
    before = read_manifest(old)
    subprocess.run([sys.executable, "-c", KILLED, old, point, mode], cwd=ROOT, check=False)
    after = read_manifest(old)
    assert after.first_bad is None and list(after.expired)[-KEPT:] == list(before.expired)[-KEPT:]
    assert bool(after.trims) == (point == "rotate" and mode == "after")
    assert bool(after.trims) or trim(old) == 3 * (OLD - KEPT)
