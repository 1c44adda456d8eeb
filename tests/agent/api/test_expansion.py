# SPDX-License-Identifier: Apache-2.0
import asyncio
from typing import Any

import pytest

from agent.api import expansion
from agent.api.expansion import Expansion, first_place
from tests.agent.api.support import Log, exec_id, process


def event(pid: int, parent: int) -> dict[str, Any]:
    return {
        "process_exec": {"process": process(pid, parent), "parent": process(parent)},
        "tracehound": {"sequence": 99, "ancestry": [exec_id(parent), exec_id(1)]},
    }


def prepared(log: Log, since_ms: int = 0) -> Expansion:
    async def prepare() -> Expansion:
        made = Expansion(str(log.directory), since_ms)
        await asyncio.gather(made.prepare(), made.prepare())
        return made

    return asyncio.run(prepare())


def effective(record: dict[str, Any], who: str = "parent") -> Any:
    return record["process_exec"][who].get("cap", {}).get("effective")


def test_processes_from_before_are_read_back(log: Log) -> None:
    log.exec(5, own={"cap": {"effective": "0000000000000001"}})
    log.rotate()
    log.execs(range(1000, 3000))
    made = prepared(log)
    assert effective(made.expand(event(6, 5))) == ["CAP_CHOWN"]
    made.close()


def test_processes_that_come_later_are_noticed(log: Log) -> None:
    made = prepared(log)
    log.exec(5, own={"cap": {"effective": "0000000000000002"}})
    made.catch_up()
    assert effective(made.expand(event(6, 5))) == ["DAC_OVERRIDE"]


def test_our_own_key_stays_for_the_filters(log: Log) -> None:
    assert "tracehound" in prepared(log).expand(event(6, 5))


def test_nothing_older_than_the_agent_is_read(log: Log) -> None:
    log.exec(5, own={"cap": {"effective": "0000000000000001"}})
    log.rotate()
    log.rotate()
    newest = int(log.segment.name[:13])
    place = first_place(log.directory, newest - 1)
    assert place is not None
    assert int(place.segment[:13]) == newest - 1
    assert effective(prepared(log, newest).expand(event(6, 5))) is None


def test_not_more_than_so_many_bytes_are_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        log.execs(range(100))
        log.rotate()
    size = sorted(log.directory.iterdir())[0].stat().st_size
    monkeypatch.setattr(expansion, "READ_BACK_BYTES", size * 2)
    place = first_place(log.directory, 0)
    assert place is not None
    assert place.segment == sorted(path.name for path in log.directory.iterdir())[-2]


def test_one_segment_is_read_however_long_it_is(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "READ_BACK_BYTES", 1)
    place = first_place(log.directory, 0)
    assert place is not None
    assert place.segment == log.segment.name


def test_an_empty_log_is_read_from_its_beginning(log: Log) -> None:
    log.segment.unlink()
    assert first_place(log.directory, 0) is None
