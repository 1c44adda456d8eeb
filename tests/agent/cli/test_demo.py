# SPDX-License-Identifier: Apache-2.0
"""`tracehound demo` on the kernel that runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.scenario import SECRET

pytestmark = pytest.mark.root
ON_EVERY_KERNEL = pytest.mark.kernel
DEMO = [sys.executable, "-m", "agent.cli.main", "demo"]
WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


def demo(temporary: Path, *options: str, wrapper: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run it with its scratch directory below `temporary`."""
    return subprocess.run(
        [*wrapper, *DEMO, *options],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(temporary), "TZ": "UTC"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one demo that most tests look at had its scratch directory."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(scratch: Path) -> Iterator[str]:
    """What it printed."""
    done = demo(scratch)
    assert done.returncode == 0, done.stdout + done.stderr
    yield done.stdout


@ON_EVERY_KERNEL
def test_the_download_is_seen_running_below_the_shell_that_fetched_it(shown: str) -> None:
    assert re.search(r"exec +\d+ /\S+/update -c 'id -un; uname -r'.* › sh$", shown, re.MULTILINE)


@ON_EVERY_KERNEL
def test_the_program_in_memory_is_marked_and_its_disguise_told(shown: str) -> None:
    assert re.search(r"exec +\d+ /proc/self/fd/\d+ .*\(called '\[kworker/0:1\]'\) \[memfd\]", shown)


@ON_EVERY_KERNEL
def test_the_end_of_each_process_is_told(shown: str) -> None:
    assert re.search(r"exit +\d+ \S+/sleep SIGKILL after", shown)
    assert re.search(r"exit +\d+ /proc/self/fd/\d+ status 3 after", shown)


@ON_EVERY_KERNEL
def test_the_password_is_redacted_everywhere(shown: str) -> None:
    assert re.search(r"--user backup --password redacted:[0-9a-f]+", shown)
    assert SECRET not in shown
    assert "the password stands in no file of the log" in shown


@ON_EVERY_KERNEL
def test_the_tree_of_it_ends_the_demo(shown: str) -> None:
    tree = shown.partition("the same as a tree")[2]
    assert "◀" in tree
    assert re.search(r"─ \d+ /\S+/update .*\n[ │]+├─ \d+ \S+/id -un", tree)


@ON_EVERY_KERNEL
def test_nothing_is_lost_and_nothing_left_behind(shown: str, scratch: Path) -> None:
    assert "0 lost; nothing left attached" in shown
    assert not list(scratch.iterdir())


def test_other_processes_of_the_machine_are_not_shown(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sh", "-c", "while :; do /bin/true not-the-demo; done"]) as other:
        shown = demo(tmp_path).stdout
        other.kill()
    assert "update" in shown
    assert "not-the-demo" not in shown


def test_a_kept_log_can_be_read_with_the_commands_that_are_printed(tmp_path: Path) -> None:
    shown = demo(tmp_path, "--keep").stdout
    commands = [line.split() for line in shown.splitlines() if line.startswith("  tracehound ")]
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run([*DEMO[:-1], *command[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "/proc/self/fd/" in done.stdout
    removal = shlex.split(shown.rpartition("remove it with: ")[2])
    assert removal[:2] == ["rm", "-r"]
    shutil.rmtree(removal[2])
    assert not list(tmp_path.iterdir())


def test_json_is_lines_of_the_log_and_then_the_tree(tmp_path: Path) -> None:
    done = demo(tmp_path, "-o", "json")
    *events, tree = [json.loads(line) for line in done.stdout.splitlines()]
    assert {next(iter(event)) for event in events} == {"process_exec", "process_exit"}
    assert len(tree["processes"]) > 10
    assert "a program is downloaded" in done.stderr


def test_without_capabilities_it_says_what_is_missing_and_leaves_nothing(tmp_path: Path) -> None:
    done = demo(tmp_path, wrapper=tuple(WITHOUT_CAPABILITIES))
    assert done.returncode == 3
    assert "needs CAP_BPF" in done.stderr
    assert "hint: start it with sudo" in done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        assert "watching kernel" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 130
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, env={"TMPDIR": str(tmp_path)}) as running:
        assert running.stdout is not None
        running.stdout.close()
    assert running.returncode == 0
    assert not list(tmp_path.iterdir())
