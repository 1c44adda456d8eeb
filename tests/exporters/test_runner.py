# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.errors import AlreadyRunning, LogUnavailable
from exporters.config import load
from exporters.control import Replay, write_control
from exporters.patience import Patience
from exporters.runner import Runner
from exporters.state import read_state
from tests.exporters.conftest import Certificates, RunOnce
from tests.exporters.eventlog import START_NS, EventLog
from tests.exporters.receiver import Receiver, hang

SMALL = {"events": 20, "bytes": "1MiB"}


def http(receiver: Receiver, **keys: Any) -> dict[str, Any]:
    return {"type": "http", "url": receiver.url, "batch": SMALL, **keys}


started: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """Runners of a test that failed end with it."""
    yield
    while started:
        started[-1].kill()
        started.pop().wait()


def start(tmp_path: Path, event_log: EventLog, **keys: Any) -> subprocess.Popen[bytes]:
    """A runner in a process of its own, as the agent starts it."""
    path = tmp_path / "x.yaml"
    path.write_bytes(orjson.dumps({"start": "beginning", "retry": {"first_seconds": 0.02}, **keys}))
    places = ["--log-dir", str(event_log.directory), "--state-dir", str(tmp_path / "states")]
    started.append(subprocess.Popen([sys.executable, "-m", "exporters", "--exporter", str(path), *places]))
    return started[-1]


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


def test_every_record_arrives_in_order_and_the_next_run_goes_on(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce
) -> None:
    event_log.execs(95)
    run_once(**http(receiver))
    event_log.rotate()
    event_log.execs(10)
    runner = run_once(**http(receiver))
    assert receiver.sequences() == list(range(1, event_log.sequence + 1))
    assert (runner.state.sent, runner.state.lag_events, runner.state.state) == (107, 0, "stopped")


@pytest.mark.parametrize("shape", ["lines", "array"])
@pytest.mark.parametrize(
    "failures",
    [
        [(500, {})] * 3,
        [(429, {"Retry-After": "0"})],
        [(413, {})] * 2,
        [lambda *_: None] * 2,
        [(401, {})],
        [(404, {})],
    ],
    ids=["500", "429", "413", "half a response", "401", "404"],
)
def test_a_destination_that_fails_for_a_while_gets_everything_in_order(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, failures: list[Any], shape: str
) -> None:
    event_log.execs(50)
    receiver.answers = list(failures)
    retry = {"first_seconds": 0.01, "most_seconds": 0.05}
    runner = run_once(**http(receiver, shape=shape, retry=retry))
    assert sorted(set(receiver.sequences())) == list(range(1, 52))
    assert receiver.sequences() == sorted(receiver.sequences())
    assert runner.state.retries >= 1 and runner.state.last_error and runner.state.refused == 0


def test_the_document_to_blame_is_found_and_kept(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, tmp_path: Path
) -> None:
    event_log.execs(30)
    bad = event_log.exec("/bin/POISON")
    event_log.execs(30)
    receiver.answers = [lambda _r, body, _h: (400, {}) if b"POISON" in body else (200, {})] * 1000
    runner = run_once(**http(receiver))
    assert receiver.sequences() == [number for number in range(1, 63) if number != bad]
    letters = [orjson.loads(line) for line in (tmp_path / "states/x/dead.jsonl").read_bytes().splitlines()]
    assert [one["uid"] for one in letters] == [f"n1/boot-a/{bad}"]
    assert runner.state.refused == 1 and letters[0]["reason"].startswith("HTTP 400")


def test_a_document_that_is_too_large_alone_is_kept_aside(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce
) -> None:
    event_log.execs(5)
    event_log.exec("/bin/" + "x" * 5000)
    event_log.execs(5)
    receiver.answers = [lambda _r, body, _h: (413, {}) if len(body) > 4000 else (200, {})] * 100
    runner = run_once(**http(receiver, compression="none"))
    assert runner.state.refused == 1 and len(receiver.accepted) == 11


def test_a_destination_that_hangs_is_given_up_and_tried_again(
    tmp_path: Path, event_log: EventLog, receiver: Receiver
) -> None:
    event_log.execs(5)
    receiver.answers = [hang(20)]
    runner = start(tmp_path, event_log, **http(receiver, timeout_seconds=60, send_seconds=0.5))
    wait_for(lambda: len(receiver.accepted) >= 6)
    runner.terminate()
    assert runner.wait(10) == 0
    told = read_state(tmp_path / "states/x")
    assert told is not None and "no answer within 0.5 s" in told.last_error
    assert receiver.sequences() == list(range(1, 7))


def test_a_token_that_was_renewed_is_used(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")

    def check(_receiver: Receiver, _body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        if headers["Authorization"] == "Bearer new":
            return 200, {}
        token.write_text("new\n")
        return 401, {}

    event_log.execs(5)
    receiver.answers = [check, check]
    run_once(**http(receiver, token_file=str(token), retry={"first_seconds": 0.01, "most_seconds": 0.02}))
    assert receiver.sequences() == list(range(1, 7))


def test_a_certificate_that_nobody_vouches_for_is_not_believed(
    event_log: EventLog, certificates: Certificates, tmp_path: Path
) -> None:
    event_log.execs(5)
    receiver = Receiver(certificates.server())
    bad = start(tmp_path, event_log, **http(receiver))
    state = tmp_path / "states/x"
    try:
        wait_for(lambda: (told := read_state(state)) is not None and told.state == "blocked")
        told = read_state(state)
        assert told is not None and told.last_error.startswith("TLS: ") and not receiver.accepted
        bad.terminate()
        assert bad.wait(10) == 0
        good = start(tmp_path, event_log, **http(receiver, tls={"ca_file": certificates.ca_file}))
        wait_for(lambda: len(receiver.accepted) == 6)
        good.terminate()
        assert good.wait(10) == 0
    finally:
        bad.kill()
        receiver.close()


def test_a_destination_that_is_away_for_a_while_loses_nothing(tmp_path: Path, event_log: EventLog) -> None:
    receiver = Receiver()
    port = receiver.port
    keys = http(receiver, retry={"first_seconds": 0.02, "most_seconds": 0.1})
    runner = start(tmp_path, event_log, **keys)
    event_log.execs(100)
    wait_for(lambda: len(receiver.accepted) == 101)
    first = receiver.sequences()
    receiver.close()
    for _ in range(5):
        event_log.execs(100)
        event_log.rotate()
        time.sleep(0.1)
    receiver = Receiver(port=port)
    wait_for(lambda: len(receiver.accepted) >= 505)
    runner.terminate()
    assert runner.wait(10) == 0
    receiver.close()
    assert first + receiver.sequences() == list(range(1, event_log.sequence + 1))


def kill_it(_receiver: Receiver, _body: bytes, _headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Takes the batch, and the runner never hears of it."""
    os.kill(started[-1].pid, signal.SIGKILL)
    return 200, {}


def test_fifty_kills_lose_nothing(tmp_path: Path, event_log: EventLog, receiver: Receiver) -> None:
    """Killed while it sends, between an answer and the saved place, and while it starts."""
    for round_ in range(50):
        event_log.execs(40)
        if round_ % 10 == 9:
            event_log.rotate()
        accepted, wanted = len(receiver.accepted), round_ % 4

        receiver.answers = [(200, {})] * wanted + [kill_it]
        runner = start(tmp_path, event_log, **http(receiver, batch={"events": 11, "seconds": 0.01}))
        runner.wait(30)
        assert runner.returncode == -signal.SIGKILL and len(receiver.accepted) > accepted
        receiver.answers = []
    run = start(tmp_path, event_log, **http(receiver))
    wait_for(lambda: receiver.sequences()[-1:] == [event_log.sequence])
    run.terminate()
    assert run.wait(10) == 0
    assert sorted(set(receiver.sequences())) == list(range(1, event_log.sequence + 1))


def test_a_batch_under_way_is_finished_after_sigterm(
    tmp_path: Path, event_log: EventLog, receiver: Receiver
) -> None:
    event_log.execs(9)
    begun = threading.Event()

    def slowly(_receiver: Receiver, _body: bytes, _headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        begun.set()
        time.sleep(0.5)
        return 200, {}

    receiver.answers = [slowly]
    runner = start(tmp_path, event_log, **http(receiver, batch={"seconds": 0.01}))
    assert begun.wait(20)
    runner.terminate()
    assert runner.wait(10) == 0
    told = read_state(tmp_path / "states/x")
    assert told is not None and (told.sent, told.lag_events, told.state) == (10, 0, "stopped")


def test_a_destination_that_hangs_does_not_keep_the_runner_from_ending(
    tmp_path: Path, event_log: EventLog, receiver: Receiver
) -> None:
    event_log.execs(9)
    receiver.answers = [hang(20)]
    runner = start(tmp_path, event_log, **http(receiver, batch={"seconds": 0.01}))
    wait_for(lambda: receiver.requests == 1)
    runner.terminate()
    assert runner.wait(15) == 0
    assert not (told := (tmp_path / "states/x/cursor")).exists() or ":0:0" in told.read_text()


def test_a_damaged_cursor_begins_with_the_oldest_record_and_says_so(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, tmp_path: Path
) -> None:
    event_log.execs(5)
    run_once(**http(receiver))
    (tmp_path / "states/x/cursor").write_text("damaged")
    runner = run_once(**http(receiver, start="now"))
    assert receiver.sequences() == [*range(1, 7), *range(1, 7)]
    assert "beginning again with the oldest record" in runner.state.last_error


def test_a_place_from_the_future_does_not_keep_an_exporter_silent(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, tmp_path: Path
) -> None:
    event_log.execs(5)
    (tmp_path / "states/x").mkdir(parents=True)
    (tmp_path / "states/x/cursor").write_text("9999999999999-000000000900.jsonl:10:900\nboot-z\n")
    runner = run_once(**http(receiver))
    assert receiver.sequences() == list(range(1, 7))
    assert "behind the end of the log" in runner.state.last_error


def test_a_new_exporter_begins_where_its_file_says(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce
) -> None:
    event_log.execs(5)
    run_once(**http(receiver, start="2026-01-01T00:00:00.003Z"))
    assert receiver.sequences() == [4, 5, 6]


def test_now_is_the_end_of_the_log(event_log: EventLog, receiver: Receiver, run_once: RunOnce) -> None:
    event_log.execs(5)
    run_once(**http(receiver, start="now"))
    event_log.execs(2)
    run_once(**http(receiver, start="now"))
    assert receiver.sequences() == [7, 8]


def test_removed_records_are_told_to_the_destination(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce
) -> None:
    run_once(**http(receiver))
    event_log.rotate()
    event_log.execs(9)
    gone = event_log.path
    event_log.rotate()
    gone.unlink()
    runner = run_once(**http(receiver))
    notices = [one["tracehound"]["notice"] for one in receiver.accepted if "notice" in one["tracehound"]]
    assert [(one["from_sequence"], one["to_sequence"]) for one in notices] == [(2, 11)]
    assert runner.state.gaps == 1


def test_what_the_rate_holds_back_is_told_with_its_numbers(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce
) -> None:
    event_log.execs(100)
    event_log.own("loss", cause="ring_full", count=2)
    runner = run_once(**http(receiver, rate={"events_per_second": 0.001, "burst": 10}))
    told = [one["tracehound"]["suppressed"] for one in receiver.accepted if "suppressed" in one["tracehound"]]
    assert sum(one["count"] for one in told) == 90 == runner.state.suppressed
    covered = {n for one in told for n in range(one["from_sequence"], one["to_sequence"] + 1)}
    assert covered | set(receiver.sequences()) == set(range(1, 103))
    assert all(one["exporter"] == "x" and one["from"] <= one["to"] for one in told)


def test_filters_leave_events_out_and_own_records_in(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce
) -> None:
    event_log.exec("/bin/ls")
    event_log.exec("/bin/su")
    event_log.own("loss", count=1)
    runner = run_once(**http(receiver, filter={"allow": [{"binary_regex": ["su$"]}]}))
    assert receiver.sequences() == [1, 3, 4] and runner.state.filtered == 1


def test_a_pause_holds_it_and_resuming_goes_on(
    tmp_path: Path, event_log: EventLog, receiver: Receiver
) -> None:
    state = tmp_path / "states/x"
    write_control(state, paused=True)
    event_log.execs(5)
    runner = start(tmp_path, event_log, **http(receiver, batch={"seconds": 0.01}))
    wait_for(lambda: (told := read_state(state)) is not None and told.state == "paused")
    assert not receiver.accepted
    write_control(state, paused=False)
    wait_for(lambda: len(receiver.accepted) == 6)
    runner.terminate()
    assert runner.wait(10) == 0


def test_a_part_is_sent_once_more_and_then_it_goes_on(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, tmp_path: Path
) -> None:
    event_log.execs(20)
    run_once(**http(receiver))
    request = Replay("r1", START_NS + 5 * 10**6, START_NS + 9 * 10**6)
    write_control(tmp_path / "states/x", replay=request)
    event_log.execs(2)
    for _ in range(2):
        run_once(**http(receiver))
    assert receiver.sequences() == [*range(1, 22), *range(6, 11), 22, 23]


def test_without_an_end_a_replay_goes_on_from_there(
    event_log: EventLog, receiver: Receiver, run_once: RunOnce, tmp_path: Path
) -> None:
    event_log.execs(9)
    run_once(**http(receiver))
    write_control(tmp_path / "states/x", replay=Replay("r1", START_NS + 7 * 10**6))
    run_once(**http(receiver))
    assert receiver.sequences() == [*range(1, 11), 8, 9, 10]


def test_two_runners_do_not_share_a_directory(
    tmp_path: Path, event_log: EventLog, receiver: Receiver
) -> None:
    first = start(tmp_path, event_log, **http(receiver))
    wait_for(lambda: (tmp_path / "states/x/state.json").exists())
    second = start(tmp_path, event_log, **http(receiver))
    assert second.wait(20) == AlreadyRunning.exit_status
    first.terminate()
    assert first.wait(10) == 0


def test_without_a_log_it_does_not_start(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(orjson.dumps(http(receiver)))
    runner = Runner(load(path), tmp_path / "absent", tmp_path / "states", Patience())
    with pytest.raises(LogUnavailable):
        runner.prepare()
    told = read_state(tmp_path / "states/x")
    assert told is not None and told.state == "failed"


@pytest.mark.root
def test_a_full_disk_under_the_dead_letters_holds_it_until_there_is_room(
    event_log: EventLog, receiver: Receiver, small_disk: Path, tmp_path: Path
) -> None:
    event_log.exec("/bin/POISON" + "x" * 3000)
    event_log.execs(3)
    receiver.answers = [lambda _r, body, _h: (400, {}) if b"POISON" in body else (200, {})] * 100
    (tmp_path / "states").symlink_to(small_disk)
    ballast = small_disk / "ballast"
    runner = start(tmp_path, event_log, **http(receiver, batch={"events": 2, "seconds": 0.3}))
    wait_for(lambda: (small_disk / "x/lock").exists())
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        for _ in range(1000):
            file.write(b"x" * 1024)
            file.flush()
    time.sleep(1.5)
    assert 5 not in receiver.sequences()
    ballast.unlink()
    wait_for(lambda: 5 in receiver.sequences())
    runner.terminate()
    assert runner.wait(10) == 0
    assert receiver.sequences() == [1, 3, 4, 5]
    assert len((small_disk / "x/dead.jsonl").read_bytes().splitlines()) == 1
