# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from agent.log.times import parse_time
from agent.settings import LogSettings, Settings
from agent.status import FILE, StatusFile, build_state

NOBODY = 65534


def test_the_state_is_replaced_whole(tmp_path: Path) -> None:
    status = StatusFile(tmp_path)
    status.write({"events": 1, "long": "x" * 10_000})
    status.write({"events": 2})
    assert orjson.loads((tmp_path / FILE).read_bytes()) == {"events": 2}
    status.write({"events": 3})
    assert orjson.loads((tmp_path / FILE).read_bytes()) == {"events": 3}


def test_the_state_is_readable_for_the_directorys_group_only(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, -1, NOBODY)
    StatusFile(tmp_path).write({})
    found = (tmp_path / FILE).stat()
    assert (found.st_mode & 0o777 & ~0o640, found.st_gid) == (0, tmp_path.stat().st_gid)


@pytest.mark.root
def test_a_group_that_is_not_ours_does_not_keep_the_state_from_being_written(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    for above in (directory, *directory.parents[:3]):
        above.chmod(above.stat().st_mode | 0o711)
    os.chown(directory, NOBODY, 0)
    os.seteuid(NOBODY)
    try:
        StatusFile(directory).write({"events": 1})
    finally:
        os.seteuid(0)
    assert orjson.loads((directory / FILE).read_bytes()) == {"events": 1}


def test_a_disk_that_takes_only_a_part_keeps_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, write = StatusFile(tmp_path), os.write
    status.write({"events": 1})
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    status.write({"events": 2})
    assert orjson.loads((tmp_path / FILE).read_bytes()) == {"events": 1}


def test_a_vanished_directory_is_no_error(tmp_path: Path) -> None:
    status = StatusFile(tmp_path / "gone")
    status.write({})
    status.remove()


def test_after_an_orderly_stop_there_is_no_state(tmp_path: Path) -> None:
    status = StatusFile(tmp_path)
    status.write({})
    status.remove()
    assert os.listdir(tmp_path) == []


# What is in it


def a_daemon(directory: Path) -> Any:
    """A daemon in good health; tests change what they need."""
    log = SimpleNamespace(state="ok", queued_bytes=0, dropped=0, error="")
    ring = SimpleNamespace(size=4096, fill=lambda: 0.25)
    return SimpleNamespace(
        log=SimpleNamespace(health=lambda: log, last_sequence=17),
        sensor=SimpleNamespace(ring=ring, sent=lambda: {"exec": 3}),
        pipeline=SimpleNamespace(events=Counter(process_exec=2)),
        ledger=SimpleNamespace(recent={}, by_cause=lambda: {"ring_full": 4}, told=list),
        compactor=SimpleNamespace(facts=dict),
        tree=SimpleNamespace(living={1: None}),
        overload=SimpleNamespace(step=0),
        settings=Settings(log=LogSettings(dir=str(directory))),
        node_name="n1",
        started_s=0.0,
        fill_peak=0.5,
        last_reload=None,
        _stop_reason="",
        program_states=lambda: [{"name": "exec_btf", "kind": "tp_btf", "attached": True}],
        policing=SimpleNamespace(summary=lambda: {"enabled": 2, "failures": []}),
        exporting=SimpleNamespace(state=list, problems=lambda: iter(())),
        following=SimpleNamespace(state=lambda: {"containers": {"known": 3}}, problems=lambda: iter(())),
        detecting=SimpleNamespace(state=dict, problems=lambda: iter(())),
        collecting=None,
    )


def test_the_state_tells_what_the_agent_has_done(tmp_path: Path) -> None:
    state = build_state(a_daemon(tmp_path))
    assert (state["pid"], state["node_name"], state["state"]) == (os.getpid(), "n1", "running")
    assert (state["events"], state["lost"], state["processes"]) == ({"process_exec": 2}, {"ring_full": 4}, 1)
    assert state["ring"] == {"bytes": 4096, "fill": 0.25, "peak": 0.5}
    assert (state["log"]["last_sequence"], state["log"]["state"]) == (17, "ok")
    assert parse_time(state["started"]) < parse_time(state["updated"])
    assert state["rss_bytes"] >= state["pss_bytes"] > 0


def test_the_state_is_json(tmp_path: Path) -> None:
    assert orjson.loads(orjson.dumps(build_state(a_daemon(tmp_path))))


def test_the_logs_size_is_that_of_its_segments(tmp_path: Path) -> None:
    (tmp_path / "1-1.jsonl").write_bytes(b"x" * 100)
    (tmp_path / "other").write_bytes(b"x" * 5)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.parquet").write_bytes(b"p" * 11)
    assert build_state(a_daemon(tmp_path))["log"]["bytes"] == 111


def test_an_agent_without_trouble_is_well(tmp_path: Path) -> None:
    assert build_state(a_daemon(tmp_path))["health"] == {"state": "ok", "reasons": []}


def test_every_trouble_is_a_reason(tmp_path: Path) -> None:
    daemon = a_daemon(tmp_path)
    daemon.program_states = lambda: [{"name": "exec_btf", "kind": "tp_btf", "attached": False}]
    daemon.ledger.recent = {"ring_full": 4}
    daemon.overload.step = 2
    daemon.log.health().state, daemon.log.health().error = "disk_full", "No space left"
    health = build_state(daemon)["health"]
    assert health["state"] == "degraded"
    assert health["reasons"] == [
        "exec_btf is not attached",
        "lost 4 (ring_full) in the last minute",
        "shedding step 2 of 3: the agent cannot keep up",
        "the log is not written: No space left; 0 bytes wait in memory",
    ]


def test_policies_are_counted_and_one_that_does_not_run_is_a_reason(tmp_path: Path) -> None:
    daemon = a_daemon(tmp_path)
    failed = {"enabled": 1, "failed": 1, "failures": [{"name": "opens", "error": "no such function"}]}
    daemon.policing = SimpleNamespace(summary=lambda: failed)
    state = build_state(daemon)
    assert state["policies"] == failed
    assert state["health"]["reasons"] == ["policy opens: no such function"]


def test_an_agent_that_ends_says_so(tmp_path: Path) -> None:
    daemon = a_daemon(tmp_path)
    daemon._stop_reason = "terminated"
    assert build_state(daemon)["state"] == "stopping"
