# SPDX-License-Identifier: Apache-2.0
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.request import urlopen

import pytest

from vmtest import attackguest
from vmtest.attacks import Attack


def test_it_refuses_to_run_outside_of_a_guest(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text("{}")
    environment = {name: value for name, value in os.environ.items() if name != "VMTEST_EXCHANGE"}
    done = subprocess.run(
        [sys.executable, "-m", "vmtest.attackguest", tmp_path / "plan"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "python -m vmtest.attack" in done.stderr


def test_the_web_server_gives_a_script_that_does_nothing() -> None:
    with attackguest.ThreadingHTTPServer(("127.0.0.1", 0), attackguest.Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urlopen(f"http://127.0.0.1:{server.server_port}/x") as answer:
            assert answer.read() == b"true\n"
        with urlopen(f"http://127.0.0.1:{server.server_port}/", data=b"upload") as answer:
            assert answer.read() == b"thanks\n"
        server.shutdown()


def test_a_shell_that_connects_is_told_to_leave() -> None:
    with attackguest.ShellServer(("127.0.0.1", 0), attackguest.Shells) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        done = subprocess.run(
            ["bash", "-c", f"exec 5<>/dev/tcp/127.0.0.1/{port}; head -c 8 <&5"], capture_output=True
        )
        assert done.stdout == b"id\nexit\n"
        server.shutdown()


def test_a_runtime_hears_a_question_before_it_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with attackguest.UnixServer(path, attackguest.Control) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.settimeout(0.1)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(10)
            client.sendall(b"GET /info HTTP/1.0\r\n\r\n")
            assert client.recv(99).startswith(b"HTTP/1.0 404")
        server.shutdown()


def test_a_variant_is_prepared_in_its_own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attackguest, "ROOM", tmp_path)
    attack = Attack("heldout/x", "x", (), {"v": "cat a b"}, "echo 1 >a", preparations={"v": "echo 2 >b"})
    played = attackguest.play(attack, "v")
    assert played["output"] == "1\n2\n"
    assert (played["attack"], played["status"]) == ("heldout/x", 0)
