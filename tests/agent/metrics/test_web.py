# SPDX-License-Identifier: Apache-2.0
"""Real connections to the pages."""

import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from agent.api.addresses import bind
from agent.metrics import web as module
from agent.metrics.board import Board
from agent.metrics.web import MOST_CONNECTIONS, Web
from tests.agent.metrics.support import STATE
from tests.agent.metrics.test_board import Answers


@pytest.fixture
def answers() -> Answers:
    return Answers({**STATE, "lost_recent": {}})


@pytest.fixture
def served(tmp_path: Path, answers: Answers) -> Iterator[tuple[str, int]]:
    board: Any = Board(str(tmp_path), answers, None)  # type: ignore[arg-type]
    web = Web(bind("127.0.0.1:0", "metrics.listen"), board)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield web.socket.getsockname()
    web.shutdown()
    web.server_close()
    thread.join()


def get(served: tuple[str, int], path: str, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{served[1]}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_are_served(served: tuple[str, int]) -> None:
    status, page = get(served, "/metrics")
    assert status == 200
    assert 'tracehound_events_written_total{type="process_exec"} 5.0' in page


def test_without_the_library_the_way_out_is_told(
    served: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_possible", lambda: False)
    status, page = get(served, "/metrics")
    assert (status, "pip install 'tracehound[metrics]'" in page) == (501, True)


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz?verbose"])
def test_a_healthy_agent_passes_its_probes(served: tuple[str, int], path: str) -> None:
    status, page = get(served, path)
    assert (status, page.splitlines()[0]) == (200, "[+] agent: running")


def test_an_agent_that_stops_is_alive_and_not_ready(served: tuple[str, int], answers: Answers) -> None:
    answers.state = {**STATE, "state": "stopping"}
    assert get(served, "/healthz")[0] == 200
    assert get(served, "/readyz") == (503, get(served, "/readyz")[1])
    assert get(served, "/readyz")[1].startswith("[-] agent: it is stopping")


def test_other_pages_are_not_there(served: tuple[str, int]) -> None:
    assert get(served, "/")[0] == 200
    assert get(served, "/../etc/passwd")[0] == 404


def test_clients_that_say_nothing_keep_no_probe_out(served: tuple[str, int]) -> None:
    silent = [socket.create_connection(served[:2]) for _ in range(3 * MOST_CONNECTIONS)]
    assert get(served, "/healthz")[0] == 200
    for one in silent:
        one.close()


def test_garbage_harms_nobody(served: tuple[str, int]) -> None:
    with socket.create_connection(served[:2], timeout=20) as garbled:
        garbled.sendall(b"\x16\x03\x01" + b"\xff" * 70_000 + b"\r\n\r\n")
        try:
            while garbled.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert get(served, "/healthz")[0] == 200
