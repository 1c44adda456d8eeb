# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from agent.log.ledger import Ledger
from agent.log.manifest import MANIFEST_NAME, read_manifest

from .test_disk import largest_file
from .test_manifest import CLOSED, COMPACTED, EXPIRED


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger(tmp_path)
    made.open()
    return made


def test_lines_are_chained_over_runs(ledger: Ledger, tmp_path: Path) -> None:
    ledger.note_closed(CLOSED, 1)
    again = Ledger(tmp_path)
    assert again.open().closed == {CLOSED.segment: CLOSED}
    again.note_compacted(COMPACTED, 2)
    again.note_expired([EXPIRED], 3)
    manifest = read_manifest(tmp_path)
    assert manifest.first_bad is None and len(manifest.hashes) == 3
    assert manifest.head == again.head


def test_only_the_group_may_read_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.note_closed(CLOSED, 1)
    assert (tmp_path / MANIFEST_NAME).stat().st_mode & 0o777 == 0o640


def test_a_torn_line_of_a_killed_writer_is_cut_off(ledger: Ledger, tmp_path: Path) -> None:
    ledger.note_closed(CLOSED, 1)
    with (tmp_path / MANIFEST_NAME).open("ab") as file:
        file.write(b'{"previous":"')
    again = Ledger(tmp_path)
    again.open()
    again.note_expired([EXPIRED], 2)
    assert read_manifest(tmp_path).first_bad is None


def test_what_a_full_disk_refuses_is_written_later(ledger: Ledger, tmp_path: Path) -> None:
    with largest_file(100):
        ledger.note_closed(CLOSED, 1)
    assert ledger.pending == 1 and read_manifest(tmp_path).torn_bytes == 0 and ledger.head == ""
    ledger.note_expired([EXPIRED], 2)
    assert read_manifest(tmp_path).first_bad is None
    assert len(read_manifest(tmp_path).hashes) == 2 and ledger.pending == 0


def test_a_compaction_that_cannot_be_noted_is_none(ledger: Ledger, tmp_path: Path) -> None:
    with largest_file(100), pytest.raises(OSError, match="too large"):
        ledger.note_compacted(COMPACTED, 1)
    ledger.flush()
    assert read_manifest(tmp_path).hashes == []


def test_tombstones_that_wait_can_be_taken_back(ledger: Ledger, tmp_path: Path) -> None:
    with largest_file(100):
        ledger.note_closed(CLOSED, 1)
        with pytest.raises(OSError, match="too large"):
            ledger.note_expired([EXPIRED], 2)
    ledger.forget_expired()
    ledger.flush()
    assert read_manifest(tmp_path).closed and not read_manifest(tmp_path).expired


def test_a_manifest_that_somebody_removed_goes_on_where_it_was(ledger: Ledger, tmp_path: Path) -> None:
    ledger.note_closed(CLOSED, 1)
    (tmp_path / MANIFEST_NAME).unlink()
    ledger.note_expired([EXPIRED], 2)
    bad = read_manifest(tmp_path).first_bad
    assert bad is not None and "the manifest was removed" in bad.problem
