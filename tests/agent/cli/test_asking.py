# SPDX-License-Identifier: Apache-2.0
import argparse

import pytest

from agent.cli.asking import LATEST, period_of, sure_json, warnings_of
from agent.cli.clock import Clock
from agent.errors import UsageError
from agent.store.answers import Completeness
from tests.agent.cli.conftest import Call, LogMaker


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError, match="is later than"):
        period_of(argparse.Namespace(since=5, until=4))
    assert period_of(argparse.Namespace(since=None, until=None)) == (0, LATEST)


@pytest.mark.parametrize("command", ["tree", "timeline", "report"])
@pytest.mark.parametrize("name", ["exec-id", "container", "file", "address"])
def test_nothing_is_no_target(call: Call, log: LogMaker, command: str, name: str) -> None:
    status, _, err = call(command, "--log-dir", log.directory, f"--{name}", "")
    assert status == 2 and f"--{name}: empty" in err


def test_what_is_no_address_is_told_so_everywhere(call: Call, log: LogMaker) -> None:
    for command in ("tree", "timeline", "connections"):
        status, _, err = call(command, "--log-dir", log.directory, "--address", "999.1.1.1")
        assert status == 2 and "--address 999.1.1.1: no IP address" in err


def test_gaps_and_notes_are_warnings() -> None:
    sure = Completeness(1, 2, gaps=[(3, 5)], notes=["slow\x1b[2J"])
    gap, note = warnings_of(sure, Clock(), "this tree")
    assert gap == "this tree may miss 3 records (3 to 5): they are gone from the log"
    assert note.isprintable()
    assert sure_json(sure)["gaps"] == [[3, 5]]
