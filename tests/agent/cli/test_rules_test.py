# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

from tests.agent.cli.conftest import Call
from tests.agent.cli.rules import NETCAT, write_rule


def test_samples_that_are_judged_right_are_counted(tmp_path: Path, call: Call) -> None:
    status, output, _ = call("rules", "test", str(write_rule(tmp_path)))
    assert (status, output) == (0, "ok 1 rules, 1 positive and 1 negative samples\n")


def test_a_rule_that_misses_or_cries_is_told(tmp_path: Path, call: Call) -> None:
    path = write_rule(tmp_path, NETCAT.replace("contains: -e", "contains: -z"))
    status, output, _ = call("rules", "test", str(path))
    assert status == 1
    assert "not found: `a shell of a web server`" in output
    assert "found, though benign: `a port is looked at`" in output


def test_a_rule_without_samples_fails(tmp_path: Path, call: Call) -> None:
    path = write_rule(tmp_path)
    next((tmp_path / "samples").iterdir()).unlink()
    status, output, _ = call("rules", "test", str(path), "-o", "json")
    assert status == 1 and "is missing" in json.loads(output)["tried"][0]["why"]


def test_the_library_passes(call: Call) -> None:
    status, output, _ = call("rules", "test")
    assert status == 0, output
