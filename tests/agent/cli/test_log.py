# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.log.manifest import read_manifest
from agent.log.segments import list_segments
from agent.log.writer import LogWriter
from agent.settings import LogSettings
from tests.agent.cli.conftest import Call
from tests.agent.log.conftest import FACTS, event


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four segments; the first was removed by retention."""
    settings = LogSettings(dir=str(tmp_path / "log"), group="", segment_bytes=20_000, retention_bytes=80_000)
    writer = LogWriter(settings, FACTS)
    writer.open()
    for _ in range(7):
        writer.append([event(f"program-{i}") for i in range(100)])
    writer.tick()
    writer.close("done")
    return tmp_path / "log"


def test_an_intact_log_has_exit_status_0(call: Call, log: Path) -> None:
    status, out, err = call("log", "verify", "--log-dir", log)
    assert (status, err) == (0, "")
    assert "intact: 1 expired, 3 chained" in out and read_manifest(log).head in out


def test_a_broken_one_has_1_and_names_the_record(call: Call, log: Path) -> None:
    path = log / str(list_segments(log)[0])
    path.write_bytes(path.read_bytes().replace(b'"sequence":210,', b'"sequence":310,'))
    status, out, _ = call("log", "verify", "--log-dir", log)
    number = 210 - list_segments(log)[0].first_sequence + 1
    assert status == 1 and out.startswith(f"BROKEN  {path.name}, line {number}, record 310: records 210 to")


def test_json_holds_the_same(call: Call, log: Path) -> None:
    out = json.loads(call("log", "verify", "--log-dir", log, "-o", "json")[1])
    assert out["intact"] and out["segments"] == {"expired": 1, "chained": 3}
    assert out["manifest"]["head"] == read_manifest(log).head
    path = log / str(list_segments(log)[-1])
    path.write_bytes(path.read_bytes()[:-10])
    status, text, _ = call("log", "verify", "--log-dir", log, "-o", "json")
    assert status == 1 and json.loads(text)["faults"][0]["file"] == path.name


def test_a_log_that_is_not_there_has_5(call: Call, tmp_path: Path) -> None:
    for what in ("verify", "list"):
        status, _, err = call("log", what, "--log-dir", tmp_path / "absent")
        assert status == 5 and "has the agent run on this node" in err


def test_a_head_is_found_or_not(call: Call, log: Path) -> None:
    head = read_manifest(log).hashes[0]
    assert (
        f"line 1 of {len(read_manifest(log).hashes)}"
        in call("log", "verify", "--log-dir", log, "--head", head)[1]
    )
    assert call("log", "verify", "--log-dir", log, "--head", "0" * 64)[0] == 1


def test_a_head_that_is_no_hash_is_refused(call: Call, log: Path) -> None:
    status, _, err = call("log", "verify", "--log-dir", log, "--head", "abc")
    assert status == 2 and "64 hexadecimal digits" in err


def test_segments_are_listed_without_those_that_are_gone(call: Call, log: Path) -> None:
    status, out, _ = call("log", "list", "--log-dir", log)
    rows = out.splitlines()[1:-1]
    assert status == 0 and [row.split()[0] for row in rows] == [str(name) for name in list_segments(log)]
    closed = list(read_manifest(log).closed.values())
    assert all(one.sha256[:16] in row for one, row in zip(closed[1:], rows, strict=True))


def test_all_lists_them_as_well(call: Call, log: Path) -> None:
    items = json.loads(call("log", "list", "--all", "--log-dir", log, "-o", "json")[1])
    assert [item["form"] for item in items] == ["expired", "lines", "lines", "lines"]
    assert items[1]["from"] == items[0]["to"] and items[-1]["to"] is None


def test_an_empty_directory_has_no_segments(call: Call, tmp_path: Path) -> None:
    assert call("log", "list", "--log-dir", tmp_path)[1] == f"no segments in {tmp_path}\n"
    assert call("log", "verify", "--log-dir", tmp_path)[1].startswith("intact: no segments")


def test_examples_stand_in_the_help(call: Call) -> None:
    assert "tracehound log verify --head" in call("log", "--help")[1]
