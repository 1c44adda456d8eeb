# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
from pathlib import Path

from tests.exporters.eventlog import EventLog


def command(tmp_path: Path, event_log: EventLog, text: str) -> list[str]:
    (tmp_path / "x.yaml").write_text(text)
    places = ["--log-dir", str(event_log.directory), "--state-dir", str(tmp_path / "states")]
    return [sys.executable, "-m", "exporters", "--exporter", str(tmp_path / "x.yaml"), *places]


def test_mistakes_end_it_with_a_way_out(tmp_path: Path, event_log: EventLog) -> None:
    done = subprocess.run(
        command(tmp_path, event_log, "type: http\n"), capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2 and "url: is missing" in done.stderr and "hint: " in done.stderr


def test_a_child_ends_with_its_parent_and_yields_to_others(tmp_path: Path, event_log: EventLog) -> None:
    event_log.execs(3)
    reading, writing = os.pipe()
    text = "type: stdout\nstart: beginning\n"
    child = subprocess.Popen(
        [*command(tmp_path, event_log, text), "--child"], stdin=reading, stdout=subprocess.PIPE
    )
    os.close(reading)
    assert child.stdout is not None
    assert [child.stdout.readline().rstrip() for _ in range(4)] == event_log.lines()
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == 10
    os.close(writing)
    assert child.wait(10) == 0
    child.stdout.close()
