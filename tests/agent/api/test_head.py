# SPDX-License-Identifier: Apache-2.0
import asyncio
import shutil
from pathlib import Path

import pytest

from agent.api.head import Head
from agent.errors import LogUnavailable
from tests.agent.api.support import Log


def test_it_begins_at_the_end(log: Log) -> None:
    log.exec(1)
    head = Head(str(log.directory))
    assert (head.cursor.sequence, head.own, head.node_name) == (2, 0, "n1")


def test_it_counts_own_records_and_passes_events(log: Log) -> None:
    head = Head(str(log.directory))
    log.execs(range(100))
    log.own("heartbeat", {})
    log.rotate()
    log.exec(1)
    head.look()
    assert head.cursor.sequence == log.sequence == 104
    assert head.own == 2


def test_an_empty_log_is_followed_too(place: Path) -> None:
    (place / "log").mkdir()
    head = Head(str(place / "log"))
    log = Log(place / "log")
    log.exec(1)
    head.look()
    assert head.cursor.sequence == 2


def test_a_line_that_is_not_finished_does_not_count(log: Log) -> None:
    head = Head(str(log.directory))
    with log.segment.open("ab") as file:
        file.write(b'{"process_exec":{"process"')
    head.look()
    assert head.cursor.sequence == 1


def test_without_a_log_there_is_no_end(place: Path) -> None:
    with pytest.raises(LogUnavailable):
        Head(str(place / "nowhere"))


def test_who_waits_is_woken_by_news(log: Log) -> None:
    async def scenario() -> int:
        head = Head(str(log.directory))
        watch = asyncio.create_task(head.watch())
        waiting = asyncio.create_task(head.wait(head.cursor))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        log.exec(1)
        await asyncio.wait_for(waiting, 5)
        watch.cancel()
        return head.cursor.sequence

    assert asyncio.run(scenario()) == 2


def test_who_waits_hears_that_the_log_cannot_be_read(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        head = Head(str(log.directory))
        monkeypatch.setattr(head, "look", Path("/no/such/file").stat)
        watch = asyncio.create_task(head.watch())
        with pytest.raises(OSError, match="No such file"):
            await asyncio.wait_for(head.wait(head.cursor), 5)
        watch.cancel()

    asyncio.run(scenario())


def test_a_log_that_vanishes_is_waited_for(log: Log) -> None:
    head = Head(str(log.directory))
    shutil.rmtree(log.directory)
    head.look()
    assert head.cursor.sequence == 1
    head.close()
