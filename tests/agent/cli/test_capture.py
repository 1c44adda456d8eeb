# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from tests.agent.cli.conftest import Call
from tests.agent.store.support import session


@pytest.fixture
def where(tmp_path: Path) -> list[str]:
    """A log with a shell and its children."""
    return ["--log-dir", str(session(tmp_path / "log").directory)]


def test_a_process_and_its_descendants_with_their_ancestors(
    where: list[str], tmp_path: Path, call: Call
) -> None:
    file = tmp_path / "x.jsonl"
    status, _, errors = call("capture", "--pid", "50", "-o", str(file), *where)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    names = [one["process_exec"]["process"]["binary"] for one in lines if "process_exec" in one]
    assert status == 0 and names == ["/sbin/init", "/bin/sh", "/usr/bin/curl", "/bin/cat"]
    assert f"{len(lines)} records" in errors
    assert file.stat().st_mode & 0o777 == 0o600


def test_arguments_can_be_left_out(where: list[str], call: Call) -> None:
    _, output, _ = call("capture", "--pid", "52", "--hide-arguments", "-o", "-", *where)
    assert "/bin/cat" in output and "shadow" not in output


def test_without_process_or_period_it_is_refused(where: list[str], call: Call) -> None:
    status, _, errors = call("capture", "-o", "-", *where)
    assert status == 2 and "nothing to capture" in errors


def test_an_empty_period_is_told_by_the_status(where: list[str], call: Call) -> None:
    status, output, _ = call("capture", "--since", "2026-01-02T00:00:00Z", "-o", "-", *where)
    assert (status, output) == (1, "")
