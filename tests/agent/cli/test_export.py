# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

from agent.cli.main import main
from exporters.control import read_control
from tests.exporters.eventlog import EventLog


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    """A log of four records, and the exporter `siem` that writes into out.json."""
    EventLog(tmp_path / "log").execs(3)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/siem.yaml").write_text(f"type: file\npath: {tmp_path}/out.json\nstart: beginning\n")
    return [
        "--set",
        f"exporters.dirs={tmp_path}/d",
        "--state-dir",
        f"{tmp_path}/s",
        "--log-dir",
        f"{tmp_path}/log",
    ]


def test_a_file_is_checked_without_an_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text("type: stdout\n")
    (tmp_path / "bad.yaml").write_text("type: stdout\nnothing: 1\n")
    assert main(["export", "check", str(tmp_path / "good.yaml")]) == 0
    assert (
        main(["export", "check", str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml"), "-o", "json"]) == 2
    )
    told = capsys.readouterr()
    assert "bad.yaml:2: nothing: is no option" in told.err and '"ok": false' in told.out


def test_wishes_are_written_for_a_runner_to_read(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "pause", "siem", *places]) == 0
    assert read_control(tmp_path / "s/siem").paused
    assert main(["export", "resume", "siem", *places]) == 0
    assert main(["export", "replay", "siem", "--since", "2h", "--until", "1h", *places]) == 0
    control = read_control(tmp_path / "s/siem")
    assert not control.paused and control.replay is not None and control.replay.until_ns is not None
    assert "when it runs; it does not at the moment" in capsys.readouterr().out


def test_a_name_that_nobody_has_changes_nothing(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "pause", "siem", "seim", *places]) == 2
    assert not read_control(tmp_path / "s/siem").paused
    assert "no exporter is called 'seim'" in capsys.readouterr().err


def test_times_in_the_wrong_order_are_refused(places: list[str]) -> None:
    assert main(["export", "replay", "siem", "--since", "1h", "--until", "2h", *places]) == 2


def test_a_test_record_reaches_the_destination(
    tmp_path: Path, places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "test", "siem", *places]) == 0
    assert "test" in json.loads((tmp_path / "out.json").read_bytes())["tracehound"]
    assert "accepted a test record" in capsys.readouterr().out
    assert not (tmp_path / "s").exists()


def test_the_table_of_a_database_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "ddl", "clickhouse"]) == 0
    assert "CREATE TABLE" in capsys.readouterr().out
    assert main(["export", "ddl", "oracle"]) == 2


def test_one_exporter_runs_in_the_foreground(places: list[str]) -> None:
    assert main(["export", "run", *places]) == 2
    assert main(["export", "run", "nobody", *places]) == 2
