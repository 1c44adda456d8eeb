# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from agent.cli.export_show import details, gather, table
from agent.cli.main import main
from agent.settings import ExportSettings
from exporters import lock
from exporters.state import State, write_state
from tests.exporters.eventlog import EventLog


def configured(tmp_path: Path) -> ExportSettings:
    (tmp_path / "d").mkdir(exist_ok=True)
    (tmp_path / "d/siem.yaml").write_text(f"type: file\npath: {tmp_path}/out.json\nstart: beginning\n")
    return ExportSettings(dirs=(str(tmp_path / "d"),), state_dir=str(tmp_path / "s"))


def test_one_that_never_ran_is_shown_as_not_well(tmp_path: Path) -> None:
    [one] = gather(configured(tmp_path), tmp_path / "s")
    assert (one["state"], one["ok"], one["running"]) == ("never ran", False, False)
    assert "never ran" in table([one], "never")[1]


def test_what_a_run_did_is_shown(tmp_path: Path) -> None:
    settings = configured(tmp_path)
    EventLog(tmp_path / "log").execs(3)
    call = [
        "export",
        "run",
        "--exporter",
        f"{tmp_path}/d/siem.yaml",
        "--once",
        "--state-dir",
        f"{tmp_path}/s",
    ]
    call += ["--log-dir", str(tmp_path / "log")]
    text = f"from agent.cli.main import main; raise SystemExit(main({call}))"
    assert subprocess.run([sys.executable, "-c", text], timeout=30).returncode == 0
    [one] = gather(settings, tmp_path / "s")
    assert (one["sent"], one["state"], one["lag_events"]) == (4, "stopped", 0)
    assert any(line.split() == ["sent", "4"] for line in details(one))


def test_dead_letters_are_shown_until_somebody_removes_them(tmp_path: Path) -> None:
    settings, letters = configured(tmp_path), tmp_path / "s" / "siem" / "dead.jsonl"
    letters.parent.mkdir(parents=True)
    letters.write_bytes(b"x" * 2048)
    write_state(letters.parent, State("siem", state="running"))
    held = lock.take(letters.parent)
    [one] = gather(settings, tmp_path / "s")
    assert (one["dead_bytes"], one["ok"]) == (2048, False) and "2.0 KiB" in table([one], "never")[1]
    older = letters.rename(letters.with_name("dead.jsonl.1"))
    assert not gather(settings, tmp_path / "s")[0]["ok"]
    older.unlink()
    assert gather(settings, tmp_path / "s")[0]["ok"]
    os.close(held)


@pytest.mark.parametrize(("state", "lines"), [("blocked", 3), ("waiting", 3), ("running", 2)])
def test_who_is_stuck_says_why_to_the_last_word(tmp_path: Path, state: str, lines: int) -> None:
    settings, directory = configured(tmp_path), tmp_path / "s" / "siem"
    directory.mkdir(parents=True)
    told = State("siem", state=state)
    told.fail("TLS: nobody vouches for the server's certificate: name its authority in tls.ca_file\x1b[31m")
    write_state(directory, told)
    held = lock.take(directory)
    shown = table(gather(settings, tmp_path / "s"), "never")
    os.close(held)
    assert len(shown) == lines
    assert ("tls.ca_file" in shown[-1]) == (lines == 3)
    assert "\x1b" not in "".join(shown)


@pytest.mark.root
def test_who_may_not_see_the_state_is_told_so() -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        (Path(name) / "s").mkdir(mode=0o700)
        call = f"main(['export', 'list', '--set', 'exporters.dirs=[]', '--state-dir', '{name}/s'])\n"
        script = f"import os; from agent.cli.main import main\n{call}"  # imports while it may
        script += f"os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{call}"
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
    assert "cannot read" in said and "hint: run it as root" in said


def test_without_exporters_the_way_to_one_is_shown() -> None:
    assert "docs/exporters.md" in table([], "never")[0]


def test_the_list_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path)
    call = ["export", "list", "-o", "json", "--set", f"exporters.dirs={tmp_path}/d"]
    assert main([*call, "--state-dir", f"{tmp_path}/s"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["name"] == "siem"
    assert main(["export", "show", "siem", *call[4:], "--state-dir", f"{tmp_path}/s"]) == 1
    assert main(["export", "show", "nobody", *call[4:], "--state-dir", f"{tmp_path}/s"]) == 2
