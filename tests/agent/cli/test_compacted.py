# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.log.segments import list_segments
from tests.agent.cli.conftest import Call, LogMaker, stamp
from tests.agent.store.support import compact_all, session


def shown(call: Call, log: LogMaker, *argv: str) -> list[int]:
    status, out, err = call("events", "--log-dir", log.directory, "-o", "json", *argv)
    assert (status, err) == (0, "")
    return [json.loads(line)["tracehound"]["sequence"] for line in out.splitlines()]


def test_compacting_changes_nothing_of_what_events_shows(call: Call, tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    ways: list[tuple[str, ...]] = [
        (), ("--type", "exec"), ("--until", stamp(2)), ("--since", stamp(1)), ("-n", "5"),
        ("-n", "3", "--type", "exec"), ("-n", "4", "--until", stamp(3)), ("-n", "9", "--since", stamp(2)),
    ]  # fmt: skip
    before = [shown(call, log, *way) for way in ways]
    assert compact_all(log.directory)
    assert [shown(call, log, *way) for way in ways] == before
    assert min(before[0]) == 2


@pytest.fixture
def stuck(tmp_path: Path) -> LogMaker:
    """Four segments; the second could not be compacted, the third was."""
    log = session(tmp_path / "log")
    log.segment(at=20)
    log.exec(60, "/bin/date", at=21)
    log.segment(at=30)
    log.exec(61, "/bin/true", at=31)
    return log


@pytest.mark.parametrize("way", [(), ("-n", "100"), ("--since", stamp(11))])
def test_a_segment_that_could_not_be_compacted_hides_nothing(
    call: Call, stuck: LogMaker, way: tuple[str, ...]
) -> None:
    before = shown(call, stuck, *way)
    second = stuck.directory / str(list_segments(stuck.directory)[1])
    lines = second.read_bytes()
    compact_all(stuck.directory)
    second.write_bytes(lines)
    (stuck.directory / "store" / f"{second.stem}.parquet").unlink()
    assert shown(call, stuck, *way) == before and len(before) >= 4


def test_top_counts_what_is_compacted(call: Call, tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    command = ("top", "--log-dir", log.directory, "--since", "2025-12-31", "-o", "json")
    before = json.loads(call(*command)[1])
    assert compact_all(log.directory)
    after = json.loads(call(*command)[1])
    assert (after["types"], after["binaries"]) == (before["types"], before["binaries"])
    assert before["types"]["process_exec"] == 4 and before["losses"][0]["count"] == 3


def test_a_damaged_file_is_told_and_the_rest_is_shown(call: Call, tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    (name,) = compact_all(log.directory)
    (log.directory / "store" / name.replace(".jsonl", ".parquet")).write_bytes(b"x")
    status, out, err = call("events", "--log-dir", log.directory)
    assert status == 0 and out and f"{name} is left out" in err
