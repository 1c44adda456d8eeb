# SPDX-License-Identifier: Apache-2.0
import socket
import threading
from pathlib import Path

import pytest

from agent.api.addresses import bind
from agent.metrics import link
from agent.metrics.options import Options
from agent.metrics.serving import serve
from tests.agent.api.support import Log


def test_it_ends_when_the_agent_is_gone(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    ours, theirs = socket.socketpair()
    options = Options(str(log.directory), "", (), 10)
    arguments = (options, bind("127.0.0.1:0", "metrics.listen"), theirs)
    thread = threading.Thread(target=serve, args=arguments, daemon=True)
    thread.start()
    assert thread.is_alive()
    ours.close()
    thread.join(20)
    assert not thread.is_alive()
    theirs.close()


def test_without_a_log_the_probes_are_served_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "ANSWER_S", 0.1)
    ours, theirs = socket.socketpair()
    listening = bind("127.0.0.1:0", "metrics.listen")
    where = listening.getsockname()
    options = Options(str(tmp_path / "none"), "", (), 10)
    thread = threading.Thread(target=serve, args=(options, listening, theirs), daemon=True)
    thread.start()
    with socket.create_connection(where, timeout=20) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.1 503"
    ours.close()
    thread.join(20)
    theirs.close()
