# SPDX-License-Identifier: Apache-2.0
"""The parts of the daemon that need no kernel; tests/e2e and tests/load run it whole."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from agent.daemon import Daemon
from agent.decode.task import decode_tasks
from agent.enrich.describe import Describer
from agent.enrich.tree import ProcessTree
from agent.enrich.users import UserNames
from agent.errors import SettingsError, StageDied
from agent.log.encode import Encoder
from agent.log.records import Line
from agent.losses import LossLedger
from agent.overload import SHED_BULK, SHED_EXIT, Overload
from agent.pipeline import Pipeline
from agent.settings import (
    EnrichSettings,
    KernelSettings,
    LogSettings,
    OverloadSettings,
    RedactionSettings,
    Settings,
)
from agent.store.runner import Compactor
from tests.agent.wire import Image, exec_record, fork_record, task_record

INIT, SHELL, CHILD = (1, 10), (50, 500), (60, 600)


class Log:
    """A log in memory."""

    def __init__(self) -> None:
        self.last_sequence = 7
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.lines: list[Line] = []

    def record(self, kind: str, content: Mapping[str, object]) -> None:
        self.records.append((kind, dict(content)))

    def change(self, settings: LogSettings) -> None:
        self.settings = settings

    def append(self, lines: list[Line]) -> int:
        self.lines += lines
        self.last_sequence += len(lines)
        return len(lines)


class Kernel:
    """A sensor without a kernel: batches that wait in a ring of 100 bytes, one byte each."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.tasks: list[tuple[Image, Image]] = []
        self.lost: dict[tuple[str, str], int] = {}
        self.steps: list[int] = []
        self.ring = self
        self.size = 100
        self._read = 0

    def drain(self) -> list[bytes]:
        self._read += bool(self.batches)
        return self.batches.pop(0) if self.batches else []

    def read(self) -> int:
        return self._read

    def written(self) -> int:
        return self._read + len(self.batches)

    def existing_tasks(self) -> bytes:
        return b"".join(task_record(image, parent) for image, parent in self.tasks)

    def losses(self) -> dict[tuple[str, str], int]:
        return self.lost

    def told(self, losses: dict[tuple[str, str], int]) -> None:
        self.in_log = dict(losses)

    def shed(self, step: int) -> None:
        self.steps.append(step)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def make(settings: Settings | None = None, **more: Any) -> Daemon:
    return Daemon(settings or Settings(node_name="n1"), **more)


@pytest.fixture
def daemon(log: Log, kernel: Kernel) -> Any:
    made: Any = make()
    made.log, made.sensor = log, kernel
    made.overload = Overload(OverloadSettings())
    made.tree = ProcessTree("n1", 100)
    made.describe, made.encoder, made._users = Describer(None), Encoder("n1"), UserNames()
    made.pipeline = SimpleNamespace(
        shed_step=0,
        bad_records=0,
        chunks_missing=0,
        unknown_hooks=0,
        batch=lambda raw: [(b"h", b"t\n") for _ in raw],
    )
    made.ledger = LossLedger(made.log, made.clock)
    made.compactor = Compactor(Path("/nowhere"), made.settings.store, print, print)
    return made


# Settings


def test_the_node_is_named_by_settings_environment_or_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    assert make(Settings()).node_name == socket.gethostname()
    monkeypatch.setenv("NODE_NAME", "n2")
    assert [make(Settings()).node_name, make(Settings(node_name="n1")).node_name] == ["n2", "n1"]
    monkeypatch.setenv("NODE_NAME", "n\udcff")
    assert make(Settings()).node_name == "n?"


@pytest.mark.parametrize(("wanted", "most"), [((), 0), (("LANG",), 999)])
def test_the_environment_is_read_only_where_some_of_it_is_wanted(wanted: tuple[str, ...], most: int) -> None:
    settings = Settings(
        enrich=EnrichSettings(environment=wanted), kernel=KernelSettings(environment_bytes=999)
    )
    assert make(settings).sensor._settings.environment_bytes == most


# Reading the ring


def test_lines_are_appended_batch_by_batch(daemon: Any, kernel: Kernel, log: Log) -> None:
    kernel.batches = [[b"1"] * 512, [b"2"]]
    assert daemon.drain() == 513
    assert len(log.lines) == 513


def test_who_executes_during_the_start_is_told_once_by_its_own_record(
    daemon: Any, kernel: Kernel, log: Log
) -> None:
    daemon.pipeline = Pipeline(daemon.tree, daemon.describe, daemon.encoder, daemon.clock)
    kernel.tasks = [(INIT, (0, 0)), (CHILD, INIT)]
    kernel.batches = [[fork_record((60, 599), INIT)], [exec_record(CHILD, INIT)]]
    daemon._adopt()
    kernel.batches.append([exec_record((60, 601), CHILD, flags=0)])
    daemon._drain_to(kernel.written())
    told = [orjson.loads(head + b"1" + tail)["process_exec"]["process"] for head, tail in log.lines]
    assert [(process["pid"], process["flags"].split()[0]) for process in told] == [
        (1, "procFS"),
        (60, "execve"),
        (60, "execve"),
    ]


def test_one_drain_is_bounded(daemon: Any, kernel: Kernel) -> None:
    kernel.batches = [[b"1"] * 512] * 100
    assert daemon.drain(batches_most=3) == 3 * 512


def test_a_tick_does_not_wait_for_a_flood(daemon: Any, kernel: Kernel) -> None:
    kernel.batches = [[b"1"] * 512] * 100
    assert daemon.drain(until_s=time.monotonic()) == 512


def test_losses_stand_behind_the_events_before_them(daemon: Any, kernel: Kernel, log: Log) -> None:
    kernel.batches, kernel.lost = [[b"1"], [b"2"]], {("ring_full", "exec"): 3}
    assert daemon._account() == 3
    assert (len(log.lines), [kind for kind, _ in log.records]) == (2, ["loss"])


# Shedding


def test_each_step_of_shedding_is_told_to_kernel_pipeline_and_log(
    daemon: Any, kernel: Kernel, log: Log
) -> None:
    daemon._watch_fill(90)
    assert (kernel.steps, daemon.pipeline.shed_step, daemon.fill_peak) == ([1, 2, 3], SHED_EXIT, 0.9)
    assert [(kind, content["from_step"], content["step"]) for kind, content in log.records] == [
        ("degraded", "nothing", "bulk"),
        ("degraded", "bulk", "exit_detail"),
        ("degraded", "exit_detail", "exit"),
    ]


def test_a_clock_step_is_recorded(daemon: Any, log: Log) -> None:
    daemon.clock.offset_ns -= 3600 * 10**9
    daemon._watch_clock(0)
    ((kind, content),) = log.records
    assert (kind, round(int(content["nanoseconds"]) / 10**9)) == ("clock_step", 3600)


# Forgetting what ended unseen


def adopt(daemon: Any, *images: Image) -> None:
    for task in decode_tasks(b"".join(task_record(image) for image in images)):
        daemon.tree.adopt(task.head)


def test_a_sweep_keeps_whom_the_kernel_knows(daemon: Any, kernel: Kernel) -> None:
    adopt(daemon, INIT, SHELL, CHILD)
    kernel.tasks = [(INIT, (0, 0)), ((50, 501), INIT)]
    daemon._sweep()
    assert sorted(process.tgid for process in daemon.tree.living.values()) == [1, 50]


def test_a_sweep_waits_for_exits_that_are_in_the_ring(daemon: Any, kernel: Kernel) -> None:
    adopt(daemon, INIT, CHILD)
    kernel.tasks, kernel.batches = [(INIT, (0, 0))], [[fork_record(CHILD, INIT)]]
    found = []

    def batch(raw: object) -> list[Line]:
        found.append(daemon.tree.find(*CHILD).words)
        return []

    daemon.pipeline.batch = batch
    daemon._sweep()
    assert (found, len(daemon.tree.living)) == ([""], 1)


def test_a_sweep_keeps_who_began_since(daemon: Any, kernel: Kernel) -> None:
    adopt(daemon, INIT, (60, 2**63))
    kernel.tasks = [(INIT, (0, 0))]
    daemon._sweep()
    assert len(daemon.tree.living) == 2


# Reload and requests


def test_a_reload_takes_the_new_settings(daemon: Any, log: Log) -> None:
    new = Settings(node_name="n1", heartbeat_seconds=5, redaction=RedactionSettings(enabled=False))
    daemon._reload = lambda current: (new, ["kernel.ring_bytes needs a restart"])
    answer = daemon._answer({"request": "reload"})
    assert (answer["ok"], answer["problems"]) == (True, ["kernel.ring_bytes needs a restart"])
    assert daemon.settings is new and daemon.compactor.settings is new.store
    assert log.records == [("reload", {"ok": True, "problems": answer["problems"]})]


def test_a_reload_that_fails_keeps_the_old_settings(daemon: Any) -> None:
    def fail(current: Settings) -> tuple[Settings, list[str]]:
        raise SettingsError(["a.yaml:3: unknown key", "a.yaml:4: not a number"])

    before, daemon._reload = daemon.settings, fail
    answer = daemon._answer({"request": "reload"})
    assert (answer["ok"], len(answer["problems"]), daemon.settings is before) == (False, 2, True)


def test_a_reload_changes_every_part_that_it_says(daemon: Any, log: Log, tmp_path: Path) -> None:
    redaction = RedactionSettings(key_file=str(tmp_path / "key"))
    enrich = EnrichSettings(max_processes=70, user_names=False)
    new = Settings(redaction=redaction, enrich=enrich, log=LogSettings(ancestry="exec", segment_bytes=8192))
    daemon._apply(new)
    secret = daemon.describe.redactor.redact_arguments(["x", "--password=hunter2-XYZZY"])
    assert "hunter2" not in str(secret)
    assert (daemon.tree.most, log.settings) == (70, new.log)
    assert (daemon.encoder._on_exec, daemon.encoder._on_all, daemon.encoder._user_name) == (True, False, None)
    daemon._apply(replace(new, redaction=replace(redaction, enabled=False)))
    assert daemon.describe.redactor is None


def test_rules_that_are_none_change_nothing(daemon: Any, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("- nonsense: 1")
    before = daemon.settings
    wrong = Settings(redaction=RedactionSettings(rules=(str(tmp_path / "rules.yaml"),)), heartbeat_seconds=1)
    daemon._reload = lambda current: (wrong, ["applied"])
    answer = daemon._answer({"request": "reload"})
    assert (answer["ok"], "rules.yaml" in answer["problems"][0], daemon.settings is before) == (
        False,
        True,
        True,
    )


def test_new_limits_hold_while_shedding(daemon: Any) -> None:
    daemon.overload.step = SHED_BULK
    overload = OverloadSettings(shed_exit_detail_fraction=0.3)
    daemon._apply(Settings(overload=overload, redaction=RedactionSettings(enabled=False)))
    assert daemon.overload.step == SHED_BULK
    assert daemon.overload.observe(0.4, 0).step == SHED_BULK + 1


def test_a_run_without_files_has_nothing_to_reload(daemon: Any) -> None:
    assert daemon._answer({"request": "reload"})["ok"] is False


def test_a_request_that_is_none_is_answered(daemon: Any) -> None:
    assert "version" in daemon._answer({"request": "version"})
    assert daemon._answer({"request": "dance"}) == {"error": "unknown request 'dance'"}
    assert "error" in daemon._answer({})


# Ends


def test_the_first_reason_to_stop_counts(daemon: Any) -> None:
    daemon.stop("interrupted")
    daemon.stop("terminated")
    assert daemon._stop_reason == "interrupted"


def test_a_stage_that_dies_is_named(daemon: Any) -> None:
    with pytest.raises(StageDied, match="the stage pipeline stopped: ZeroDivisionError"):
        daemon._guarded("pipeline", lambda: 1 / 0)
    assert daemon._stop_reason == "the stage pipeline stopped"


def test_an_error_with_a_way_out_passes_as_it_is(daemon: Any) -> None:
    def fail() -> None:
        raise SettingsError(["a.yaml:3: unknown key"])

    with pytest.raises(SettingsError):
        daemon._guarded("tick", fail)
