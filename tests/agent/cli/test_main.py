# SPDX-License-Identifier: Apache-2.0
"""The command as people call it: help, mistakes, pipes, interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.cli import main as module
from agent.cli.main import COMMANDS, main
from agent.errors import SettingsError
from tests.agent.cli.conftest import Call, LogMaker

COMMAND = [sys.executable, "-m", "agent.cli.main"]
OURS = [c.name for c in COMMANDS if c.name not in ("run", "doctor", "demo")]
HEAVY = ("yaml", "orjson", "grpclib", "grpc", "google", "psutil", "agent.config", "agent.log")


def test_the_overview_names_every_command(call: Call) -> None:
    status, out, _ = call("--help")
    assert status == 0
    assert all(f"\n    {command.name}" in out for command in COMMANDS)


@pytest.mark.parametrize("name", OURS)
def test_every_command_has_help_with_examples(call: Call, name: str) -> None:
    status, out, _ = call(name, "--help")
    assert status == 0
    assert "examples:\n  tracehound " in out or "examples:\n  sudo tracehound " in out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from agent.cli.main import main; main(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_the_version_is_told(call: Call) -> None:
    assert call("--version")[1].startswith("tracehound 0.")


def test_without_a_command_the_help_goes_to_standard_error(call: Call) -> None:
    status, out, err = call()
    assert (status, out) == (2, "")
    assert "commands:" in err


def test_a_misspelt_command_is_an_error_with_a_suggestion(call: Call) -> None:
    status, out, err = call("evnts", "-f")
    assert (status, out) == (2, "")
    assert err == (
        "tracehound: unknown command 'evnts'; did you mean events?\n"
        "hint: `tracehound --help` lists the commands\n"
    )


def test_a_misspelt_option_is_an_error_with_a_suggestion(call: Call) -> None:
    status, _, err = call("events", "--folow")
    assert status == 2
    assert "unknown argument '--folow'; did you mean --follow?" in err


def test_a_command_that_is_not_installed_is_an_error_only_when_called(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = module.Command("absent", "nothing")
    monkeypatch.setattr(module, "COMMANDS", (*COMMANDS, missing))
    assert call("--help")[0] == 0
    status, _, err = call("absent")
    assert (status, err) == (1, "tracehound: `tracehound absent` is not part of this installation\n")


def test_a_missing_package_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError("no", name="orjson")

    monkeypatch.setattr(module, "import_module", fail)
    status, _, err = call("events")
    assert status == 1
    assert "needs the Python package orjson, which is missing" in err


def test_each_problem_of_the_settings_is_a_line(call: Call, tmp_path: Path) -> None:
    config = tmp_path / "t.yaml"
    config.write_text("a: 1\nb: 2\n")
    status, _, err = call("config", "check", "--config", config)
    assert status == SettingsError.exit_status
    assert [line.partition(": ")[0] for line in err.splitlines()] == ["tracehound", "tracehound", "hint"]


def test_hostile_text_in_an_error_is_escaped(call: Call) -> None:
    _, _, err = call("events", "--log-dir", "/no\x1b[2Jwhere")
    assert r"/no\e[2Jwhere" in err


def test_a_reader_that_closes_the_pipe_ends_it_quietly(log: LogMaker) -> None:
    for number in range(3000):
        log.exec(number, "/bin/x" * 20)
    line = " ".join([*COMMAND, "events", "--log-dir", str(log.directory)])
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | head -1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_a_full_disk_behind_standard_output_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "tracehound: output: No space left on device\n")


def test_closed_streams_do_no_harm() -> None:
    done = subprocess.run(["sh", "-c", f"{' '.join([*COMMAND, 'version'])} >&- 2>&-"], check=False)
    assert done.returncode == 0


def test_a_pipe_that_does_not_block_gets_everything(log: LogMaker) -> None:
    for number in range(400):
        log.exec(number, "/bin/x", "y" * 1000)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as some programs leave it that share it with us
    command = [*COMMAND, "events", "-o", "json", "--log-dir", str(log.directory)]
    child = subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    time.sleep(1)  # the pipe is full
    with open(reading, "rb") as pipe:
        assert len(pipe.readlines()) == 400
    assert child.communicate()[1] == b"" and child.returncode == 0


def test_an_encoding_without_our_characters_gets_escapes(log: LogMaker) -> None:
    parent = log.exec(1, "/sbin/init")
    log.exec(2, "/bin/x", parent=parent)
    environ = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*COMMAND, "events", "--log-dir", str(log.directory)], env=environ, capture_output=True, check=True
    )
    assert rb"\u2190 init" in done.stdout


def test_ctrl_c_ends_with_130(log: LogMaker) -> None:
    log.exec(1, "/sbin/init")
    child = subprocess.Popen(
        [*COMMAND, "events", "-f", "--log-dir", str(log.directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    assert b"/sbin/init" in child.stdout.readline()
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=10)
    assert (child.returncode, err) == (130, b"")


def test_main_takes_its_arguments_from_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tracehound", "version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("tracehound ")
