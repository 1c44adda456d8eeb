# SPDX-License-Identifier: Apache-2.0
"""Names of processes that began before what is shown."""

from __future__ import annotations

import pytest

from agent.cli import earlier
from agent.cli.earlier import Earlier
from agent.log.reader import LogReader
from tests.agent.cli.conftest import LogMaker


def test_a_binary_is_found_backwards_across_segments(log: LogMaker) -> None:
    init = log.exec(1, "/sbin/init")
    log.segment(at=10)
    shell = log.exec(2, "/bin/sh", parent=init, at=11)
    reader = LogReader(log.directory)
    found = Earlier(reader, reader.end())
    assert (found.binary(shell["exec_id"]), found.binary(init["exec_id"])) == ("/bin/sh", "/sbin/init")
    assert found.binary("unknown") is None


def test_what_comes_after_the_place_is_not_looked_at(log: LogMaker) -> None:
    log.exec(1, "/sbin/init")
    reader = LogReader(log.directory)
    place = reader.end()
    later = log.exec(2, "/bin/sh", at=1)
    assert Earlier(reader, place).binary(later["exec_id"]) is None


def test_the_search_is_bounded(log: LogMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "MOST", 10)
    monkeypatch.setattr(earlier, "PAGE", 3)
    first = log.exec(1, "/sbin/init")
    others = [log.exec(number, "/bin/x", at=number) for number in range(2, 30)]
    reader = LogReader(log.directory)
    found = Earlier(reader, reader.end())
    assert found.binary(first["exec_id"]) is None
    assert (found.binary(others[-10]["exec_id"]), found.binary(others[-11]["exec_id"])) == ("/bin/x", None)
