# SPDX-License-Identifier: Apache-2.0
"""Which parts the child has here; tests/kube has them at work."""

import json
import socket
import threading
from pathlib import Path

from agent.identity.assembly import assemble
from agent.identity.options import Options
from tests.agent.identity.test_access import config as kubeconfig
from tests.agent.identity.test_nri import STARTED
from tests.agent.identity.test_plugin import Runtime


def health(options: Options) -> dict[str, object]:
    """What a child with these options says of Kubernetes."""
    ours, theirs = socket.socketpair()
    with theirs:
        made = assemble(options, theirs)
        ours.close()
        made.run()
    found: dict[str, object] = made.health()["kubernetes"]
    return found


def test_a_plain_host_has_no_kubernetes() -> None:
    assert health(Options()) == {"state": "off", "age_seconds": 0.0, "error": ""}


def test_an_api_server_that_was_asked_for_and_is_not_there_is_told() -> None:
    found = health(Options(kubernetes=True))
    assert found["state"] == "stale" and "identity.kubeconfig" in str(found["error"])


def test_an_address_that_is_none_is_told_and_ends_nobody(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path, {"token": "t"}, {"server": "https://[::1"})
    assert "is no address" in str(health(Options(kubeconfig=str(config)))["error"])


def test_a_kubeconfig_that_comes_late_is_found(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs, ours:
        made = assemble(Options(kubeconfig=str(tmp_path / "config"), runtimes=False), theirs)
        made._start_kubernetes()
        assert "No such file" in str(made.health()["kubernetes"]["error"])
        kubeconfig(tmp_path, {"token": "t"}, {"server": "http://127.0.0.1:9"})
        made._stop = OneTurn()
        made._tell_health()
        assert "No such file" not in made.health()["kubernetes"]["error"] and made.child.asks_kubernetes


def test_the_agents_word_reaches_the_runtime_that_waits(tmp_path: Path) -> None:
    path = tmp_path / "nri.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=assemble(Options(nri=str(path), runtimes=False), theirs).run)
        thread.start()
        runtime = Runtime(server.accept()[0])
        runtime.register()
        answers = threading.Thread(target=answer_starts, args=(ours,))
        answers.start()
        assert runtime.ask("StartContainer", STARTED) == b""
        ours.shutdown(socket.SHUT_RDWR)
        thread.join(30)
        answers.join(30)
        assert not runtime.sock.recv(1)  # the plugin goes with the agent
        for sock in (runtime.sock, ours, theirs):
            sock.close()


def answer_starts(sock: socket.socket) -> None:
    """As an agent."""
    with sock.makefile("rb") as lines:
        for line in map(json.loads, lines):
            if "starting" in line:
                assert line["starting"]["answer"]["pod"]["name"] == "web-1"
                held = {"number": line["starting"]["number"], "error": ""}
                sock.sendall(json.dumps({"held": held}).encode() + b"\n")


class OneTurn(threading.Event):
    """A stop that comes after the second look."""

    def wait(self, timeout: float | None = None) -> bool:
        looked = self.is_set()
        self.set()
        return looked
