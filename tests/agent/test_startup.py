# SPDX-License-Identifier: Apache-2.0
"""Processes that were there before us: real ones, with records as the task iterator gives them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.decode.task import decode_tasks
from agent.enrich.describe import Describer
from agent.enrich.process import Process
from agent.enrich.procfs import read_process
from agent.enrich.redaction import Redactor, load_rules
from agent.enrich.tree import ProcessTree
from agent.events import EXECED, IN_INIT_TREE, KERNEL_THREAD
from agent.log.clock import WallClock
from agent.log.encode import Encoder
from agent.startup import ASK_PAUSE_S, KernelsWord, adopt_existing, describe_unknown, lines_of
from tests.agent.wire import SECOND, Image, task_record

INIT = (1, 10)
GONE = 2**22 - 1
SLEEP = shutil.which("sleep") or "sleep"


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a secret argument, an own working directory and an environment."""
    script = "import time; time.sleep(100)"
    argv = [b"python", b"-c", script.encode(), b"a\xff", b"--password=hunter2-XYZZY"]
    with subprocess.Popen(argv, executable=sys.executable, cwd=tmp_path, env={"LANG": "C"}) as process:
        while not read_process(process.pid).cmdline:
            time.sleep(0.001)
        yield process
        process.kill()


def start_of(pid: int) -> int:
    """start_boottime as /proc has it, in nanoseconds."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(") ")[2].split()[19]) * (SECOND // os.sysconf("SC_CLK_TCK"))


def adopted(
    *tasks: bytes, tree: ProcessTree | None = None, environment: bool = False
) -> list[dict[str, Any]]:
    """The lines of the log of these tasks, parsed."""
    tree, clock = tree or ProcessTree("n1", 100), WallClock()
    clock.offset_ns = 0
    describe = Describer(Redactor(load_rules(()), b"k" * 32), ["LANG"])
    found = adopt_existing(decode_tasks(b"".join(tasks)), tree, describe, clock, environment=environment)
    lines = lines_of(found, Encoder("n1"), clock)
    return [orjson.loads(before + b"1" + after) for before, after in lines]


def test_a_process_is_described_by_proc(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    _, line = adopted(task_record(INIT), task_record((sleeper.pid, 50 * SECOND), INIT, at=60 * SECOND))
    process = line["process_exec"]["process"]
    assert process["binary"] == os.readlink(f"/proc/{sleeper.pid}/exe")
    assert (process["cwd"], process["flags"]) == (str(tmp_path), "procFS")
    assert (process["start_time"][11:], line["time"][11:]) == ("00:00:50.000000000Z", "00:01:00.000000000Z")


def test_its_arguments_are_lossless_and_redacted(sleeper: subprocess.Popen[bytes]) -> None:
    (line,) = adopted(task_record((sleeper.pid, 50), INIT))
    own = line["tracehound"]
    assert own["arguments"][3] == "a\ufffd"
    assert own["raw"]["arguments"] == {"3": "Yf8="}
    assert own["arguments"][4].startswith("--password=redacted:")
    assert "XYZZY" not in str(line)


@pytest.mark.parametrize(("environment", "found"), [(True, {"LANG": "C"}), (False, None)])
def test_its_environment_is_read_on_request(
    sleeper: subprocess.Popen[bytes], environment: bool, found: dict[str, str] | None
) -> None:
    (line,) = adopted(task_record((sleeper.pid, 50), INIT), environment=environment)
    assert line["tracehound"].get("environment") == found


def test_a_deleted_executable_is_told(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copy(SLEEP, copy)
    with subprocess.Popen([copy, "100"]) as process:
        inode = copy.stat().st_ino
        copy.unlink()
        (line,) = adopted(task_record((process.pid, 50), INIT))
        process.kill()
    assert line["process_exec"]["process"]["binary"] == str(copy)
    assert (line["tracehound"]["inode"]["number"], line["tracehound"]["inode"]["links"]) == (str(inode), 0)


def test_parents_come_before_their_children_and_know_them() -> None:
    lines = adopted(
        task_record((GONE, 30), (GONE - 1, 20)), task_record((GONE - 1, 20), INIT), task_record(INIT)
    )
    assert [line["process_exec"]["process"]["pid"] for line in lines] == [1, GONE - 1, GONE]
    assert lines[2]["process_exec"]["parent"] == lines[1]["process_exec"]["process"]
    assert lines[0]["process_exec"]["parent"]["binary"] == "<kernel>"
    assert len(lines[2]["tracehound"]["ancestry"]) == 2


def test_a_process_that_is_gone_is_still_in_the_tree() -> None:
    tree = ProcessTree("n1", 100)
    (line,) = adopted(task_record((GONE, 30), (0, 0)), tree=tree)
    assert line["process_exec"]["process"]["flags"] == "procFS nocwd"
    assert tree.find(GONE, 30).words == "procFS nocwd"


def test_a_kernel_thread_has_its_name_and_lacks_nothing() -> None:
    (line,) = adopted(task_record((2, 20), flags=EXECED | KERNEL_THREAD))
    process = line["process_exec"]["process"]
    assert process["binary"] == Path("/proc/2/comm").read_text().strip()
    assert "nocwd" not in process["flags"]


def test_descendants_of_a_containers_init_are_in_its_tree() -> None:
    tasks = (
        task_record((50, 20), INIT, flags=EXECED | IN_INIT_TREE, nspid=1),
        task_record((51, 30), (50, 20), nspid=2),
    )
    init, child = adopted(*tasks)
    assert [line["process_exec"]["process"]["in_init_tree"] for line in (init, child)] == [True, True]
    assert [line["tracehound"]["nspid"] for line in (init, child)] == [1, 2]
    assert "inInitTree" in child["process_exec"]["process"]["flags"]


def test_what_is_in_the_tree_is_not_told_again() -> None:
    tree = ProcessTree("n1", 100)
    assert len(adopted(task_record(INIT), tree=tree)) == 1
    assert adopted(task_record(INIT), tree=tree) == []


def test_a_parent_that_the_kernel_does_not_list_is_described_by_proc(
    sleeper: subprocess.Popen[bytes],
) -> None:
    here = (os.getpid(), start_of(os.getpid()))
    above, child = adopted(task_record((sleeper.pid, start_of(sleeper.pid)), here))
    process = above["process_exec"]["process"]
    assert (process["pid"], process["flags"].split()[0]) == (os.getpid(), "procFS")
    assert process["binary"] == os.readlink("/proc/self/exe")
    assert above["tracehound"]["sid"] == os.getsid(0)
    assert child["process_exec"]["parent"] == process


# Processes of which records were lost


def unknown(pid: int, image_ktime: int) -> Process:
    process = Process(pid, image_ktime, "id", None)
    describe_unknown(process)
    return process


def test_an_unknown_process_that_lives_is_looked_up(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    process = unknown(sleeper.pid, start_of(sleeper.pid) + 3)
    assert (process.binary, process.cwd) == (os.readlink(f"/proc/{sleeper.pid}/exe"), str(tmp_path))


def test_another_process_of_the_same_pid_is_not_taken_for_it(sleeper: subprocess.Popen[bytes]) -> None:
    process = unknown(sleeper.pid, start_of(sleeper.pid) - 5 * SECOND)
    assert (process.binary, process.cwd) == ("", "")


class Kernel:
    """Answers as the task iterator, and counts the questions."""

    def __init__(self, *tasks: tuple[Image, Image]) -> None:
        self.asked = 0
        self._answer = b"".join(task_record(image, parent) for image, parent in tasks)

    def __call__(self) -> bytes:
        self.asked += 1
        return self._answer


def test_the_kernel_names_the_parent_of_a_living_process() -> None:
    word = KernelsWord(Kernel(((7, 700), (5, 500))))
    assert word.parent_of(Process(7, 700, "id", None)) == (5, 500)
    assert word.parent_of(Process(8, 700, "id", None)) is None
    assert word.parent_of(Process(7, 700 - 10 * SECOND, "id", None)) is None


def test_the_kernel_is_not_asked_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    kernel = Kernel()
    word = KernelsWord(kernel)
    for step in (0, ASK_PAUSE_S / 2, ASK_PAUSE_S * 2):
        now = 100.0 + step
        word.parent_of(Process(7, 700, "id", None))
    assert kernel.asked == 2
