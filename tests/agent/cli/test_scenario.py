# SPDX-License-Identifier: Apache-2.0
"""The demo's acts, without an agent that watches."""

import sys
import urllib.request
from pathlib import Path

import pytest

from agent.cli.scenario import SHELL, acts, fetch_command, serving


def test_the_server_gives_the_shell_to_everybody_who_asks() -> None:
    with serving() as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/anything") as answer:
        assert answer.read() == SHELL.read_bytes()


def test_the_server_is_gone_afterwards() -> None:
    with serving() as port:
        pass
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/update")


def test_all_acts_end_and_leave_only_the_downloaded_program(tmp_path: Path) -> None:
    with serving() as port:
        for act in acts(tmp_path, port):
            act.perform()
    assert [path.name for path in tmp_path.iterdir()] == ["update"]


def test_an_act_without_the_shell_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cli.scenario.SHELL", tmp_path / "no-shell")
    with pytest.raises(FileNotFoundError, match="no-shell"):
        acts(tmp_path, 0)[1].perform()


@pytest.mark.parametrize(
    ("installed", "used"), [(["curl", "wget"], "curl"), (["wget"], "wget"), ([], sys.executable)]
)
def test_it_downloads_with_what_is_installed(tmp_path: Path, installed: list[str], used: str) -> None:
    for name in installed:
        (tmp_path / name).touch(mode=0o755)
    assert fetch_command("http://127.0.0.1/update", "update", path=str(tmp_path))[0] == used


def test_python_downloads_where_nothing_else_is_installed(tmp_path: Path) -> None:
    import subprocess

    target = tmp_path / "update"
    with serving() as port:
        command = fetch_command(f"http://127.0.0.1:{port}/update", str(target), path=str(tmp_path))
        subprocess.run(command, check=True)
    assert target.read_bytes() == SHELL.read_bytes()
