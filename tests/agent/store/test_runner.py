# SPDX-License-Identifier: Apache-2.0
import os
import signal
import time
from pathlib import Path

import pytest

from agent.log.compaction import CompactionRefused, place
from agent.log.manifest import Compaction
from agent.log.segments import SegmentName, list_segments
from agent.settings import StoreSettings
from agent.store.layout import compacted_segments
from agent.store.lineage import consistent
from agent.store.runner import RETRY_S, SILENT_S, Compactor
from tests.agent.cli.conftest import LogMaker


def ticked(compactor: Compactor, most_s: float = 60) -> None:
    end = time.monotonic() + most_s
    compactor.tick()
    while compactor._child is not None and time.monotonic() < end:
        time.sleep(0.02)
        compactor.tick()


def test_what_it_reports_is_published(lines: LogMaker) -> None:
    told: list[Compaction] = []

    def publish(compaction: Compaction) -> None:
        place(lines.directory, compaction.segment)
        told.append(compaction)

    said: list[str] = []
    compactor = Compactor(lines.directory, StoreSettings(), publish, said.append)
    ticked(compactor)
    compactor.close()
    assert (len(told), compactor.published, said) == (1, 1, [])
    assert len(compacted_segments(lines.directory)) == 1


def test_switched_off_it_starts_nothing(lines: LogMaker) -> None:
    compactor = Compactor(lines.directory, StoreSettings(enabled=False), print, print)
    compactor.tick()
    assert compactor._child is None


def test_a_compactor_that_fails_is_told_once(lines: LogMaker, tmp_path: Path) -> None:
    said: list[str] = []
    compactor = Compactor(lines.directory, StoreSettings(memory_bytes=1 << 20), print, said.append)
    ticked(compactor)
    assert said
    assert compactor.published == 0


def test_a_segment_that_is_refused_is_not_tried_at_once_again(lines: LogMaker) -> None:
    def refuse(compaction: Compaction) -> None:
        raise CompactionRefused("other lines")

    now, said = [1000.0], list[str]()
    compactor = Compactor(lines.directory, StoreSettings(), refuse, said.append, lambda: now[0])
    ticked(compactor)
    now[0] += RETRY_S - 1
    compactor.tick()
    assert compactor._child is None and said == ["a compacted segment was not taken over: other lines"]
    now[0] += 2
    compactor.tick()
    assert compactor._child is not None
    compactor.close()


def test_lines_that_it_could_not_compact_do_not_count_as_if_they_shrank(lines: LogMaker) -> None:
    def refuse(compaction: Compaction) -> None:
        raise CompactionRefused("other lines")

    first, newer = list_segments(lines.directory)[0], SegmentName(1 << 41, 99)
    compactor = Compactor(lines.directory, StoreSettings(), refuse, print)
    assert compactor.takes(first) and compactor.takes(None)
    ticked(compactor)
    assert not compactor.takes(first) and compactor.takes(newer) and compactor.takes(None)


@pytest.mark.parametrize("settings", [StoreSettings(memory_bytes=1 << 20), StoreSettings(enabled=False)])
def test_without_a_compactor_that_works_nothing_shrinks(lines: LogMaker, settings: StoreSettings) -> None:
    compactor = Compactor(lines.directory, settings, print, print)
    ticked(compactor)
    assert not compactor.takes(None)


def test_one_that_hangs_is_ended_and_told(lines: LogMaker) -> None:
    now, said = [1000.0], list[str]()
    compactor = Compactor(lines.directory, StoreSettings(), print, said.append, lambda: now[0])
    compactor.tick()
    child = compactor._child
    assert child is not None
    os.kill(child.pid, signal.SIGSTOP)
    now[0] += SILENT_S
    ticked(compactor)
    assert said[0] == "compaction: nothing was heard of it for 600 s, it is ended"
    assert child.returncode == -signal.SIGKILL and compactor._child is None and not compactor.takes(None)


def test_complaints_of_any_length_do_not_hold_it_up(tmp_path: Path) -> None:
    log_dir = tmp_path / ("long" * 60)
    for number in range(1, 251):
        name = f"{number:013d}-{number:012d}"
        (log_dir / "store" / f"{name}.parquet.new").mkdir(parents=True)  # in the way
        (log_dir / f"{name}.jsonl").touch()
    said: list[str] = []
    compactor = Compactor(log_dir, StoreSettings(), print, said.append)
    ticked(compactor)
    assert compactor._child is None and said[-1].count("was not compacted") == 1
    compactor.close()


def test_a_run_can_be_ended(lines: LogMaker) -> None:
    compactor = Compactor(lines.directory, StoreSettings(), print, print)
    compactor.tick()
    compactor.close()
    assert compactor._child is None


def forgets(log: LogMaker, settings: StoreSettings, before: bool) -> list[str]:
    """What is in the index after the only Parquet file went, before or after the agent's start."""
    (path,) = (log.directory / "store").glob("*.parquet")
    now, said = [0.0], list[str]()
    compactor = Compactor(log.directory, settings, print, said.append, lambda: now[0])
    if before:
        path.unlink()
    ticked(compactor)
    path.unlink(missing_ok=True)
    for now[0] in (20.0, 100.0):
        ticked(compactor)
    compactor.close()
    assert said == []
    return consistent(log.directory, lambda lineage: [one.name for one in lineage.segments()])


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("enabled", [True, False])
def test_the_index_forgets_what_was_removed(stored: LogMaker, before: bool, enabled: bool) -> None:
    assert forgets(stored, StoreSettings(enabled=enabled), before) == []
