# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.golden.capture import SCENARIOS
from tests.golden.replay import GOLDEN, captures, lines_of


def name_of(path: Path) -> str:
    return str(path.relative_to(GOLDEN).with_suffix(""))


@pytest.mark.parametrize("path", captures(), ids=name_of)
def test_captured_records_become_the_lines_beside_them(path: Path) -> None:
    assert lines_of(path) == path.with_suffix(".jsonl").read_bytes()


def test_every_scenario_is_captured_and_nothing_else() -> None:
    assert {name_of(path) for path in captures()} == set(SCENARIOS)
    assert {path.with_suffix(".records") for path in GOLDEN.glob("*/*.jsonl")} == set(captures())


@pytest.mark.parametrize("path", captures(), ids=name_of)
def test_every_process_of_a_capture_ends_and_has_a_parent(path: Path) -> None:
    events = [orjson.loads(line) for line in path.with_suffix(".jsonl").read_bytes().splitlines()]
    begun = {e["process_exec"]["process"]["pid"] for e in events if "process_exec" in e}
    ended = {e["process_exit"]["process"]["pid"] for e in events if "process_exit" in e}
    assert begun and begun <= ended
    assert all(e["process_exec"]["parent"]["exec_id"] for e in events if "process_exec" in e)
