# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from agent.log.ledger import Ledger
from agent.log.manifest import MANIFEST_NAME, Expired, read_manifest
from agent.log.segments import list_segments
from agent.log.tombstones import Removals
from agent.log.verify import verify

from .conftest import MakeWriter
from .test_upkeep import fill


@pytest.fixture
def log(make_writer: MakeWriter, log_dir: Path) -> Path:
    """A log from which its agent removed the first segments before it stopped."""
    writer = make_writer(segment_bytes=20_000, retention_bytes=100_000)
    fill(writer, 8)
    writer.tick()
    writer.close("done")
    return log_dir


def bury(log: Path, *, bytes_: int = 0) -> str:
    """Somebody else removes the oldest segment, with a tombstone as the agent's."""
    ledger, segment = Ledger(log), str(list_segments(log)[0])
    one = ledger.open().closed[segment]
    told = Expired(segment, "size", one.sha256, one.first_sequence, one.last_sequence, bytes_ or one.bytes)
    ledger.note_expired([told], 0)
    (log / segment).unlink()
    return segment


def test_what_the_agent_removed_is_told_by_its_records(log: Path) -> None:
    verdict = verify(log)
    assert (verdict.faults, verdict.notes) == ([], []) and verdict.counts["expired"] > 0


def test_a_tombstone_without_a_record_is_not_the_agents(log: Path, make_writer: MakeWriter) -> None:
    segment = bury(log)
    assert [fault.file for fault in verify(log).faults] == [MANIFEST_NAME]
    make_writer(segment_bytes=20_000).close("done")  # and no later run makes it one
    fault = verify(log).faults[0]
    assert f"no `retention` record tells of the removal of {segment}" in fault.problem


def test_what_a_killed_agent_did_not_come_to_tell_is_a_note(make_writer: MakeWriter, log_dir: Path) -> None:
    writer = make_writer(segment_bytes=20_000)
    fill(writer, 3)
    bury(log_dir)
    verdict = verify(log_dir)
    assert verdict.faults == [] and "the agent was killed" in verdict.notes[0]


def test_a_tombstone_that_differs_from_its_record_is_told(log: Path) -> None:
    line = next(one for one in (log / MANIFEST_NAME).read_bytes().splitlines(True) if b'"expired"' in one)
    bytes_ = read_manifest(log).expired[next(iter(read_manifest(log).expired))].bytes
    data = (log / MANIFEST_NAME).read_bytes()
    (log / MANIFEST_NAME).write_bytes(data.replace(line, line.replace(b'"bytes":%d' % bytes_, b'"bytes":1')))
    problems = [fault.problem for fault in verify(log).faults]
    assert any("differs from its `retention` record in bytes" in problem for problem in problems)


def test_segments_that_are_not_read_are_not_judged_by(log: Path) -> None:
    bury(log)
    assert Removals().judge(read_manifest(log), list_segments(log)) == ([], [])


def test_a_removal_that_was_not_finished_is_told_by_the_next_run(log: Path, make_writer: MakeWriter) -> None:
    kept = list_segments(log)[0]
    other = log.parent / "held"
    os.link(log / str(kept), other)
    bury(log)
    os.link(other, log / str(kept))  # the disk refused to remove it
    make_writer(segment_bytes=20_000).close("done")
    assert not (log / str(kept)).exists() and verify(log).faults == []
