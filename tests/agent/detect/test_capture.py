# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from agent.detect.capture import ancestors_of, capture, without_arguments
from agent.store.picking import EVER, Period
from agent.store.records import Problems
from tests.agent.cli.conftest import START_NS, LogMaker
from tests.agent.store.support import compact_all, session


@pytest.fixture(params=[False, True], ids=["lines", "compacted"])
def log(request: pytest.FixtureRequest, tmp_path: Any) -> LogMaker:
    """In both forms."""
    made = session(tmp_path / "log")
    if request.param:
        compact_all(made.directory)
    return made


def binaries(records: list[dict[str, Any]]) -> list[str]:
    return [one["process_exec"]["process"]["binary"] for one in records if "process_exec" in one]


def test_what_a_process_did_comes_with_the_execs_of_its_ancestors(log: LogMaker) -> None:
    curl = list(log.ancestry)[2]
    records, is_cut = capture(log.directory, {curl}, EVER, Problems())
    assert binaries(records) == ["/sbin/init", "/bin/sh", "/usr/bin/curl"]
    assert "segment" in records[0]["tracehound"] and not is_cut
    assert [next(iter(one)) for one in records[-2:]] == ["process_kprobe", "process_exit"]


def test_a_period_is_self_contained(log: LogMaker) -> None:
    period = Period(START_NS + 10 * 10**9, START_NS + 11 * 10**9)
    records, _ = capture(log.directory, None, period, Problems())
    assert binaries(records) == ["/sbin/init", "/bin/sh", "/bin/cat"]
    assert not ancestors_of(records)


def test_it_says_when_something_is_left_out(log: LogMaker) -> None:
    records, is_cut = capture(log.directory, None, EVER, Problems(), most=2)
    assert is_cut and len([one for one in records if "process_exec" in one]) == 2


def test_nothing_is_nothing(log: LogMaker) -> None:
    assert capture(log.directory, {"eA=="}, EVER, Problems()) == ([], False)


def test_what_was_typed_can_be_left_out() -> None:
    record = {
        "process_exec": {"process": {"binary": "/bin/sh", "arguments": "-c x"}},
        "args": [{"string_arg": "y"}],
    }
    assert without_arguments(record) == {
        "process_exec": {"process": {"binary": "/bin/sh"}},
        "args": [{"string_arg": "[hidden]"}],
    }
