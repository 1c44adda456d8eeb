# SPDX-License-Identifier: Apache-2.0
import argparse

import pytest

from agent.cli.asking import LATEST, period_of, sure_json, warnings_of
from agent.cli.clock import Clock
from agent.errors import UsageError
from agent.store.answers import Completeness


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UsageError, match="is later than"):
        period_of(argparse.Namespace(since=5, until=4))
    assert period_of(argparse.Namespace(since=None, until=None)) == (0, LATEST)


def test_gaps_and_notes_are_warnings() -> None:
    sure = Completeness(1, 2, gaps=[(3, 5)], notes=["slow\x1b[2J"])
    gap, note = warnings_of(sure, Clock(), "this tree")
    assert gap == "this tree may miss 3 records (3 to 5): they are gone from the log"
    assert note.isprintable()
    assert sure_json(sure)["gaps"] == [[3, 5]]
