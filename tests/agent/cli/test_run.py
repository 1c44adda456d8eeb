# SPDX-License-Identifier: Apache-2.0
"""`tracehound run`, as a person or a script has it: started, watched, ended with Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cli.run import Sink

pytestmark = pytest.mark.root
ON_EVERY_KERNEL = pytest.mark.kernel
RUN = [sys.executable, "-m", "agent.cli.main", "run"]
PATIENCE_S = 60


class Agent:
    """A running `tracehound run`; what it prints goes to files, so that it never waits for the test."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._out, self._err = directory / "stdout", directory / "stderr"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*RUN, "--root", str(directory / "root"), *options], stdout=out, stderr=err, process_group=0
            )

    @property
    def shown(self) -> str:
        """Standard output until now."""
        return self._out.read_text()

    @property
    def said(self) -> str:
        """Standard error until now."""
        return self._err.read_text()

    def wait_for(self, wanted: Callable[[], bool], what: str) -> None:
        """Wait until it has printed something."""
        end = time.monotonic() + PATIENCE_S
        while not wanted():
            assert self.process.poll() is None, f"it ended: {self.said}"
            assert time.monotonic() < end, f"no {what}:\n{self.said}\n{self.shown[-2000:]}"
            time.sleep(0.02)

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal, as a terminal does, and wait for the end."""
        os.killpg(self.process.pid, number)
        return self.process.wait(PATIENCE_S)


StartAgent = Callable[..., Agent]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartAgent]:
    """Starts an agent and waits until it watches."""
    running: list[Agent] = []

    def started(*options: str, until: str = "watching, 0 lost") -> Agent:
        agent = Agent(tmp_path, *options)
        running.append(agent)
        agent.wait_for(lambda: until in agent.said, until)
        return agent

    yield started
    for agent in running:
        agent.process.kill()
        agent.process.wait()


def run_marked(name: str) -> None:
    """A process that can be found again."""
    subprocess.run(["/bin/true", name], check=True)


@ON_EVERY_KERNEL
def test_it_greets_watches_and_ends_with_a_summary(start: StartAgent) -> None:
    agent = start()
    run_marked("marked-for-compact")
    agent.wait_for(lambda: "marked-for-compact" in agent.shown, "line of the process")
    assert agent.end() == 0
    greeting, _, farewell = agent.said.partition("watching, 0 lost\n")
    about = [line for line in greeting.splitlines() if not line.startswith("note ")]
    assert [line.split()[0] for line in about[:3]] == ["kernel", "agent", "log"]
    assert about[3:] == ["in another terminal: tracehound tree --pid $$   (Ctrl-C ends)"]
    assert os.uname().release in about[0]
    assert re.search(r"^[\d,]+ events seen \(.*process_exec [\d,]+.*\), 0 lost$", farewell, re.MULTILINE)
    assert farewell.endswith("nothing left attached\n")
    assert "Traceback" not in farewell


@ON_EVERY_KERNEL
def test_a_compact_line_has_arguments_outcome_and_ancestors(start: StartAgent) -> None:
    agent = start()
    subprocess.run(["/bin/sh", "-c", "/bin/false marked 'two words'; exit 0"], check=True)
    agent.wait_for(lambda: "/bin/false status 1" in agent.shown, "end of the process")
    assert re.search(r"exec +\d+ /bin/false marked 'two words'  ← .* › sh$", agent.shown, re.MULTILINE)
    assert re.search(r"exit +\d+ /bin/false status 1 after \d+ms  ← .* › sh$", agent.shown, re.MULTILINE)


POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: asks}
spec:
  kprobes:
  - call: sys_getpgid
    syscall: true
    args: [{index: 0, type: int}]
    selectors: [{matchArgs: [{index: 0, operator: Equal, values: ["4711"]}]}]
"""


@ON_EVERY_KERNEL
def test_a_policy_runs_and_a_bad_one_is_noted(start: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(POLICY)
    (tmp_path / "bad.yaml").write_text(POLICY.replace("asks", "bad").replace("sys_getpgid", "sys_gone"))
    agent = start("--policy", f"{tmp_path}/good.yaml", f"{tmp_path}/bad.yaml")
    subprocess.run(
        [sys.executable, "-c", "import os\ntry: os.getpgid(4711)\nexcept OSError: pass"], check=True
    )
    agent.wait_for(lambda: "[asks]" in agent.shown, "event of the policy")
    assert agent.end() == 0
    assert "policies 1 enabled, 1 failed\n" in agent.said
    assert re.search(r"^note .*bad\.yaml:\d+: sys_gone is no system call", agent.said, re.MULTILINE)


def test_with_strict_policies_a_bad_one_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(POLICY.replace("sys_getpgid", "sys_gone"))
    agent = Agent(tmp_path, "--policy", f"{tmp_path}/bad.yaml", "--strict-policies")
    assert agent.process.wait(60) == 2
    assert "sys_gone is no system call" in agent.said


def test_json_is_the_lines_of_the_log(start: StartAgent, tmp_path: Path) -> None:
    agent = start("--output", "json")
    run_marked("marked-for-json")
    agent.wait_for(lambda: "marked-for-json" in agent.shown, "line of the process")
    assert agent.end(signal.SIGTERM) == 0
    lines = agent.shown.splitlines()
    records = [json.loads(line) for line in lines]
    (segment,) = (tmp_path / "root/var/lib/tracehound/log").glob("[0-9]*.jsonl")
    assert set(lines) <= set(segment.read_text().splitlines())
    marked = [record for record in records if "marked-for-json" in str(record)]
    assert {next(iter(record)) for record in marked} == {"process_exec", "process_exit"}


def test_none_prints_nothing_at_all(start: StartAgent, tmp_path: Path) -> None:
    agent = start("--output", "none", until="")
    status = tmp_path / "root/var/lib/tracehound/log/status.json"
    agent.wait_for(status.exists, "status.json")
    assert agent.end() == 0
    assert agent.shown == agent.said == ""


def test_ctrl_c_in_a_pipe_ends_all_of_it_in_order(tmp_path: Path) -> None:
    command = f"{sys.executable} -m agent.cli.main run --root {tmp_path / 'root'} --output json | cat"
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as pipe:
        assert pipe.stderr is not None
        greeting = iter(pipe.stderr.readline, "")
        assert any("watching, 0 lost" in line for line in greeting)
        run_marked("that-there-be-something-to-print")
        os.killpg(pipe.pid, signal.SIGINT)
        assert pipe.stderr.read().endswith("nothing left attached\n")


def test_a_reader_that_has_seen_enough_ends_it_in_order(tmp_path: Path) -> None:
    argv = [*RUN, "--root", str(tmp_path / "root"), "--output", "json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        assert agent.stderr is not None
        json.loads(agent.stdout.readline())
        agent.stdout.close()
        while agent.poll() is None:
            run_marked("that-there-be-something-to-print")
        assert agent.returncode == 0
        assert agent.stderr.read().endswith("nothing left attached\n")


def test_without_capabilities_it_says_what_is_missing(tmp_path: Path) -> None:
    argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *RUN, "--root", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "needs CAP_BPF and CAP_PERFMON" in done.stderr


def test_a_second_agent_on_the_same_log_is_refused(start: StartAgent, tmp_path: Path) -> None:
    agent = start()
    second = subprocess.run(
        [*RUN, "--root", str(tmp_path / "root")], capture_output=True, text=True, check=False
    )
    assert second.returncode == 6
    assert str(agent.process.pid) in second.stderr


def test_what_was_there_before_is_only_taken_note_of(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    noted: list[int] = []
    sink = Sink(
        lambda lines, first: b"%d" % first, lambda count: b"", lambda lines, first: noted.append(first)
    )
    sink([], 1)
    sink.begin()
    sink([], 2)
    assert (noted, capfdbinary.readouterr().out) == ([1], b"2")


def test_losses_are_shown_among_the_events(start: StartAgent, tmp_path: Path) -> None:
    agent = start()
    (tmp_path / "root/etc/tracehound").mkdir(parents=True)
    (tmp_path / "root/etc/tracehound/tracehound.yaml").write_text("heartbeat_seconds: -1\n")
    agent.process.send_signal(signal.SIGHUP)
    agent.wait_for(lambda: "!!! RELOAD settings refused" in agent.shown, "refusal")
    assert agent.end() == 0
    assert "heartbeat:" not in agent.shown and "--- st" not in agent.shown


def sink_on(fd: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Sink, list[str]]:
    monkeypatch.setattr(sys, "stdout", os.fdopen(fd, "w"))
    sink, reasons = Sink(lambda lines, first: b"line\n", lambda count: b"%d left out\n" % count), []
    sink.on_gone = reasons.append
    return sink, reasons


def test_lines_after_the_reader_has_gone_are_dropped_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink, reasons = sink_on(writer, monkeypatch)
    sink([], 1)
    sink([], 2)
    sys.stdout.close()
    assert reasons == ["standard output was closed"]


def test_output_that_cannot_be_written_ends_only_the_showing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    sink, reasons = sink_on(os.open("/dev/full", os.O_WRONLY), monkeypatch)
    sink([], 1)
    sink([], 2)
    sys.stdout.close()
    assert reasons == []
    assert (
        capfd.readouterr().err.count("No space left on device; nothing more is shown, the log goes on") == 1
    )


def test_an_agent_whose_output_nobody_reads_goes_on_and_ends(tmp_path: Path) -> None:
    argv = [*RUN, "--root", str(tmp_path / "root"), "--output", "json"]
    log = tmp_path / "root/var/lib/tracehound/log"
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent:
        assert agent.stderr is not None
        assert any("watching, 0 lost" in line for line in iter(agent.stderr.readline, ""))
        long = "y" * 100_000
        for _ in range(20):
            subprocess.run(["/bin/true", long], check=True)
        run_marked("marked-behind-the-flood")
        end = time.monotonic() + PATIENCE_S
        while not any(b"marked-behind-the-flood" in path.read_bytes() for path in log.glob("[0-9]*.jsonl")):
            assert time.monotonic() < end, "the log stands still"
            time.sleep(0.05)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(PATIENCE_S) == 0
        assert agent.stderr.read().endswith("nothing left attached\n")
