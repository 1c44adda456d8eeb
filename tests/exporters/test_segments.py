# SPDX-License-Identifier: Apache-2.0
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from exporters import stdout
from exporters.base import Taken, TryAgain
from exporters.config import load
from exporters.patience import Patience
from exporters.runner import Runner
from tests.exporters.eventlog import EventLog


class Files:
    """Takes a file a step, and fails once."""

    def __init__(self, log_dir: str) -> None:
        self.left = sorted(path.name for path in Path(log_dir).glob("*.jsonl"))
        self.failed = False

    def take(self) -> Taken:
        if not self.failed:
            self.failed = True
            raise TryAgain("HTTP 503")
        name = self.left.pop(0)
        return Taken(f"{name}:10:1", 1, bool(self.left))

    def close(self) -> None:
        """Nothing is open."""


class Hanging(Files):
    """Hangs once, in a way that no timeout of its own ends."""

    def take(self) -> Taken:
        if not self.failed:
            self.failed = True
            time.sleep(30)
        return super().take()


@pytest.fixture
def patience() -> Iterator[Patience]:
    """With its signals, which go back to whom they belong."""
    numbers = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    made = Patience()
    made.install()
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_step_that_hangs_is_given_up_and_done_again(
    tmp_path: Path, event_log: EventLog, patience: Patience
) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(orjson.dumps({"type": "stdout", "retry": {"first_seconds": 0.01}, "send_seconds": 1}))
    stdout.open_segments = lambda context, log_dir: Hanging(log_dir)  # type: ignore[attr-defined]
    try:
        runner = Runner(load(path), event_log.directory, tmp_path / "states", patience)
        runner.prepare()
        runner.run(until_idle=True)
    finally:
        del stdout.open_segments  # type: ignore[attr-defined]
    assert (runner.state.sent, runner.state.last_error) == (1, "no answer within 1 s")


def test_files_are_taken_over_one_by_one_and_the_place_is_saved(
    tmp_path: Path, event_log: EventLog, monkeypatch: object
) -> None:
    event_log.rotate()
    path = tmp_path / "x.yaml"
    path.write_bytes(orjson.dumps({"type": "stdout", "retry": {"first_seconds": 0.01}}))
    stdout.open_segments = lambda context, log_dir: Files(log_dir)  # type: ignore[attr-defined]
    try:
        runner = Runner(load(path), event_log.directory, tmp_path / "states", Patience())
        runner.prepare()
        runner.run(until_idle=True)
    finally:
        del stdout.open_segments  # type: ignore[attr-defined]
    assert (runner.state.sent, runner.state.retries, runner.state.state) == (2, 1, "stopped")
    assert (tmp_path / "states/x/cursor").read_text().startswith(f"{event_log.path.name}:10:1\n")
