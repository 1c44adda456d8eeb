# SPDX-License-Identifier: Apache-2.0
"""Tetragon's own client against a real agent: .cache/tetra/tetra, or `tetra` of the path."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.agent.api.support import Agent as Service
from tests.agent.api.support import Log
from tests.e2e.support import PAUSE_S, TRIES, Agent, start_agent

pytestmark = pytest.mark.root
CACHED = Path(__file__).resolve().parents[2] / ".cache" / "tetra" / "tetra"
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: secrets}
spec:
  kprobes:
  - call: sys_openat
    syscall: true
    args: [{index: 0, type: int}, {index: 1, type: string}]
    selectors: [{matchArgs: [{index: 1, operator: Equal, values: [%s]}]}]
"""


class Tetra(NamedTuple):
    """The client of one agent."""

    agent: Agent
    command: list[str]

    def ask(self, *words: str, expect: int = 0) -> str:
        """What it prints."""
        done = subprocess.run([*self.command, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    def state(self) -> dict[str, str]:
        """Columns of the only policy."""
        told = json.loads(self.ask("tracingpolicy", "list", "-o", "json")).get("policies", [])
        return dict(told[0]) if told else {}

    def events(self, wanted: str, program: list[str], *words: str) -> str:
        """Runs a program until its line is among the events."""
        with tempfile.NamedTemporaryFile("w+") as out:
            command = [*self.command, "getevents", *words]
            client = subprocess.Popen(command, stdout=out, stderr=out)
            try:
                return self._seen(Path(out.name), wanted, program)
            finally:
                client.kill()
                client.wait()

    @staticmethod
    def _seen(out: Path, wanted: str, program: list[str]) -> str:
        for _ in range(TRIES):
            subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
            time.sleep(PAUSE_S)
            if found := [line for line in out.read_text().splitlines() if wanted in line]:
                return found[0]
        raise AssertionError(out.read_text()[-2000:])


@pytest.fixture(scope="module")
def tetra() -> Iterator[Tetra]:
    """The client, and an agent that it can reach."""
    named = str(CACHED) if CACHED.exists() else shutil.which("tetra")
    if not named:
        pytest.skip("no tetra: put one into .cache/tetra")
    with tempfile.TemporaryDirectory(prefix="tetra-") as place:
        agent = start_agent(
            Path(place), [f"api.socket={place}/socket", "identity.kubernetes=false", "identity.nri=none"]
        )
        try:
            yield Tetra(agent, [named, "--server-address", f"unix://{place}/socket"])
        finally:
            agent.stop()


@pytest.fixture
def secrets(tetra: Tetra, tmp_path: Path) -> Iterator[Path]:
    """A file whose opens are events, by a policy that the client has added."""
    file = tmp_path / "secret"
    file.write_text("x")
    (tmp_path / "policy.yaml").write_text(POLICY % file)
    tetra.ask("tracingpolicy", "add", str(tmp_path / "policy.yaml"))
    yield file
    if tetra.state():
        tetra.ask("tracingpolicy", "delete", "secrets")


def test_status_version_and_information(tetra: Tetra) -> None:
    assert "running" in tetra.ask("status")
    assert "Server version: 0" in tetra.ask("version", "--server")
    told = json.loads(tetra.ask("info"))
    assert told["Name"] == "Tracehound" and told["Conf"]["containers.annotations"] == []


def test_an_exec_and_its_end_in_the_compact_form(tetra: Tetra) -> None:
    assert "process" in tetra.events("/bin/true here", ["/bin/true", "here"], "-o", "compact")
    assert "exit" in tetra.events(
        "/bin/true gone 0", ["/bin/true", "gone"], "-o", "compact", "-e", "PROCESS_EXIT"
    )


def test_events_are_filtered_and_their_fields_chosen(tetra: Tetra) -> None:
    line = tetra.events("true", ["/bin/true"], "--process", "true", "-F", "process.cwd,parent")
    told = next(iter(value for key, value in json.loads(line).items() if key.startswith("process_")))
    assert "parent" not in told and "cwd" not in told["process"] and told["process"]["pid"]


def test_the_logs_own_lines_are_read_as_they_stand(tetra: Tetra) -> None:
    tetra.events("true", ["/bin/true"])
    lines = b"".join(file.read_bytes() for file in sorted(tetra.agent.log_dir.glob("*.jsonl")))
    given = b"".join(line for line in lines.splitlines(keepends=True) if b'"/bin/true"' in line)
    read = subprocess.run([tetra.command[0], "getevents", "-o", "compact"], input=given, capture_output=True)
    assert b"process" in read.stdout and b"/bin/true" in read.stdout, read.stderr


def test_a_policy_is_added_listed_and_deleted(tetra: Tetra, secrets: Path) -> None:
    assert (tetra.state()["state"], tetra.state()["mode"]) == ("TP_STATE_ENABLED", "TP_MODE_ENFORCE")
    assert "secrets" in tetra.ask("tracingpolicy", "list", "--domain", "grpc")
    assert "secrets" not in tetra.ask("tracingpolicy", "list", "--domain", "k8s")
    assert "in the domain k8s" in tetra.ask("tracingpolicy", "delete", "secrets", "--domain", "k8s", expect=1)
    tetra.ask("tracingpolicy", "delete", "secrets")
    assert not tetra.state()


def test_a_policys_events_show_the_file(tetra: Tetra, secrets: Path) -> None:
    assert str(secrets) in tetra.events(
        "openat", ["cat", str(secrets)], "-o", "compact", "-e", "PROCESS_KPROBE"
    )


def test_a_policy_is_switched_and_its_mode_set(tetra: Tetra, secrets: Path) -> None:
    tetra.ask("tracingpolicy", "set-mode", "secrets", "monitor")
    assert tetra.state()["mode"] == "TP_MODE_MONITOR"
    tetra.ask("tracingpolicy", "disable", "secrets")
    assert tetra.state()["state"] == "TP_STATE_DISABLED"
    tetra.ask("tracingpolicy", "enable", "secrets")
    assert tetra.state()["state"] == "TP_STATE_ENABLED"


def test_what_is_wrong_is_said_with_its_reason(tetra: Tetra, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(POLICY.replace("sys_openat", "sys_nonsense") % "/x")
    told = tetra.ask("tracingpolicy", "add", str(wrong), expect=1)
    assert "sys_nonsense" in told and "hint:" in told
    assert "no policy absent" in tetra.ask("tracingpolicy", "delete", "absent", expect=1)
    assert "unknown method" in tetra.ask("eventlog", "get", expect=1)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--namespace shop", ["shop/web-7"]),
        ("--pod ^proxy", ["kube-system/proxy"]),
        ("--namespace-regex ^kube|^shop --process /bin/x", ["shop/web-7", "kube-system/proxy"]),
        ("--host", ["n1"]),
    ],
)
def test_pods_are_chosen_and_shown(tetra: Tetra, tmp_path: Path, words: str, shown: list[str]) -> None:
    (tmp_path / "log").mkdir()
    log, service = Log(tmp_path / "log"), Service(tmp_path)
    command = [tetra.command[0], "--server-address", f"unix://{service.path}", "getevents", "-o", "compact"]
    with tempfile.NamedTemporaryFile("w+") as out, closing(service):
        client = subprocess.Popen([*command, *words.split()], stdout=out, stderr=out)
        try:
            for _ in range(TRIES):
                log.exec(5, binary="/bin/x", pod={"namespace": "shop", "name": "web-7"})
                log.exec(6, binary="/bin/x", pod={"namespace": "kube-system", "name": "proxy"})
                log.exec(7, binary="/bin/x")
                time.sleep(PAUSE_S)
                seen = [line.split()[2] for line in Path(out.name).read_text().splitlines()]
                if set(shown) <= set(seen):
                    break
        finally:
            client.kill()
            client.wait()
        assert set(seen) == set(shown)


def test_the_level_of_messages_is_read_and_set(tetra: Tetra) -> None:
    tetra.ask("loglevel", "set", "info")
    assert "INFO" in tetra.ask("loglevel", "get")
