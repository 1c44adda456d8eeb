# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.cli.grown import has_store
from tests.agent.cli.conftest import Call, LogMaker
from tests.agent.store.support import compact_all, session


@pytest.fixture
def log(tmp_path: Path) -> LogMaker:
    return session(tmp_path / "log")


def test_a_tree_looks_the_same_with_and_without_a_store(call: Call, log: LogMaker) -> None:
    before = call("tree", "--log-dir", log.directory, "--pid", 50)
    assert not has_store(log.directory)
    compact_all(log.directory)
    assert has_store(log.directory)
    after = call("tree", "--log-dir", log.directory, "--pid", 50)
    assert (after[0], after[1]) == (before[0], before[1])


def test_json_has_the_same_processes(call: Call, log: LogMaker) -> None:
    compact_all(log.directory)
    facts = json.loads(call("tree", "--log-dir", log.directory, "--pid", 50, "-o", "json")[1])
    assert [process["pid"] for process in facts["processes"]] == [50, 51, 52]
    assert facts["warnings"][0]["count"] == 3


def test_ancestors_or_descendants_alone(call: Call, log: LogMaker) -> None:
    above = call("tree", "--log-dir", log.directory, "--pid", 50, "--ancestors")[1]
    below = call("tree", "--log-dir", log.directory, "--pid", 50, "--descendants")[1]
    assert "/sbin/init" in above and "curl" not in above
    assert "/sbin/init" not in below and "curl" in below


def test_trees_by_container_file_and_address(call: Call, log: LogMaker) -> None:
    for target in (["--container", "01234567"], ["--file", "/usr/bin/curl"], ["--address", "203.0.113.7"]):
        status, out, _ = call("tree", "--log-dir", log.directory, *target)
        assert status == 0
        assert "51 /usr/bin/curl" in out


def test_a_tree_as_html_is_one_file(call: Call, log: LogMaker) -> None:
    status, out, _ = call("tree", "--log-dir", log.directory, "--pid", 50, "-o", "html")
    assert status == 0
    assert out.startswith("<!") and "</html>" in out
