# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from tests.agent.cli.conftest import Call, LogMaker, stamp
from tests.agent.store.support import compact_all, session


def shown(call: Call, log: LogMaker, *argv: str) -> list[int]:
    status, out, err = call("events", "--log-dir", log.directory, "-o", "json", *argv)
    assert (status, err) == (0, "")
    return [json.loads(line)["tracehound"]["sequence"] for line in out.splitlines()]


def test_compacting_changes_nothing_of_what_events_shows(call: Call, tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    ways: list[tuple[str, ...]] = [(), ("--type", "exec"), ("--until", stamp(2)), ("--since", stamp(1))]
    before = [shown(call, log, *way) for way in ways]
    assert compact_all(log.directory)
    assert [shown(call, log, *way) for way in ways] == before
    assert min(before[0]) == 2


def test_a_damaged_file_is_told_and_the_rest_is_shown(call: Call, tmp_path: Path) -> None:
    log = session(tmp_path / "log")
    (name,) = compact_all(log.directory)
    (log.directory / "store" / name.replace(".jsonl", ".parquet")).write_bytes(b"x")
    status, out, err = call("events", "--log-dir", log.directory)
    assert status == 0 and out and f"{name} is left out" in err
