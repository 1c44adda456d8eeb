# SPDX-License-Identifier: Apache-2.0
"""Processes carry the classes that policies ask for: read from the process map of the running kernel."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.kernel.classifier import Classifier
from agent.kernel.objects import BpfMap
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR, SharedMaps
from agent.kernel.view import KernelView
from agent.policy.classes import ClassTable, ProcessConditions
from agent.policy.model import BinaryFilter, PidFilter, Where
from agent.policy.trial import kernel_facts
from agent.settings import KernelSettings

pytestmark = [pytest.mark.kernel, pytest.mark.root]
HERE = Where("test", 1, "spec")
POLICY_SET_AT, PROCESS_BYTES = 80, 112
"""struct process of kprobes/include/wire.h."""


class Classes:
    """The sensor with a classifier on it."""

    def __init__(self) -> None:
        self.sensor = Sensor(KernelSettings())
        self.sensor.open()
        self.shared = SharedMaps({name: self.sensor.map_fd(name) for name in FROM_SENSOR})
        with KernelView() as view:
            facts = kernel_facts(view)
        self.classifier = Classifier(self.shared, has_atomics=facts.has_atomics, has_cast=facts.has_cast)
        self.table = ClassTable()
        self.processes = BpfMap(self.sensor.map_fd("processes"), PROCESS_BYTES)

    def ask(self, **conditions: object) -> int:
        asked = ProcessConditions(**conditions)  # type: ignore[arg-type]
        number = self.table.number_of(asked, "test", HERE, "test")
        self.classifier.publish(self.table.compile())
        return number

    def holds(self, number: int, pid: int) -> bool:
        entry = self.processes.lookup(struct.pack("=I", pid)) or bytes(PROCESS_BYTES)
        return bool(int.from_bytes(entry[POLICY_SET_AT:], "little") >> number & 1)

    def close(self) -> None:
        self.classifier.close()
        self.shared.close()
        self.sensor.close()


@pytest.fixture
def classes() -> Iterator[Classes]:
    made = Classes()
    yield made
    made.close()


@pytest.fixture
def napping(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose binary only this test runs."""
    child = subprocess.Popen([copy_of("sleep", tmp_path), "60"])
    time.sleep(0.2)
    yield child
    child.kill()
    child.wait()


def copy_of(name: str, directory: Path) -> str:
    return str(shutil.copy(shutil.which(name) or name, directory / f"{name}-of-test"))


def test_a_process_that_runs_already_has_the_class_of_its_binary(
    classes: Classes, napping: subprocess.Popen[bytes]
) -> None:
    binary = os.readlink(f"/proc/{napping.pid}/exe")
    number = classes.ask(binaries=(BinaryFilter("In", (binary,)),))
    assert classes.holds(number, napping.pid)
    assert not classes.holds(number, os.getpid())


@pytest.mark.parametrize(("operator", "holds"), [("Prefix", True), ("NotPrefix", False), ("Postfix", False)])
def test_a_process_gets_its_classes_when_it_executes(
    classes: Classes, tmp_path: Path, operator: str, holds: bool
) -> None:
    number = classes.ask(binaries=(BinaryFilter(operator, (f"{tmp_path}/",)),))
    child = subprocess.Popen([copy_of("sleep", tmp_path), "60"])
    time.sleep(0.2)
    held = classes.holds(number, child.pid)
    child.kill()
    child.wait()
    assert held is holds


def test_children_inherit_what_is_followed_also_when_their_parents_are_gone(
    classes: Classes, tmp_path: Path
) -> None:
    shell = copy_of("sh", tmp_path)
    followed = classes.ask(binaries=(BinaryFilter("In", (shell,), follow_children=True),))
    alone = classes.ask(binaries=(BinaryFilter("In", (shell,)),))
    script = "(setsid sleep 60 >/dev/null 2>&1 & echo $!)"
    pid = int(subprocess.run([shell, "-c", script], capture_output=True, check=True).stdout)
    time.sleep(0.2)
    held = classes.holds(followed, pid), classes.holds(alone, pid)
    os.kill(pid, 9)
    assert held == (True, False)


def test_a_parents_binary_is_asked_of_its_children_alone(classes: Classes, tmp_path: Path) -> None:
    shell = copy_of("sh", tmp_path)
    number = classes.ask(parent_binaries=(BinaryFilter("In", (shell,)),))
    child = subprocess.Popen([shell, "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
    assert child.stdout
    pid = int(child.stdout.readline())
    time.sleep(0.2)
    held = classes.holds(number, pid), classes.holds(number, child.pid)
    os.kill(pid, 9)
    child.wait()
    child.stdout.close()
    assert held == (True, False)


def test_forks_of_a_pid_are_followed_from_those_on_that_run_already(classes: Classes) -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
    assert child.stdout
    pid = int(child.stdout.readline())
    time.sleep(0.2)
    number = classes.ask(followed_pids=(PidFilter(True, (child.pid,), follow_forks=True),))
    held = classes.holds(number, child.pid), classes.holds(number, pid), classes.holds(number, os.getpid())
    os.kill(pid, 9)
    child.wait()
    child.stdout.close()
    assert held == (True, True, False)


def test_a_freed_number_means_nothing_of_what_it_meant(classes: Classes, tmp_path: Path) -> None:
    shell = copy_of("sh", tmp_path)
    classes.ask(binaries=(BinaryFilter("In", (shell,), follow_children=True),))
    child = subprocess.Popen([shell, "-c", "sleep 60; true"])
    time.sleep(0.2)
    classes.table.release("test")
    number = classes.ask(binaries=(BinaryFilter("In", ("/nowhere",), follow_children=True),))
    held = classes.holds(number, child.pid)
    subprocess.run(["pkill", "-P", str(child.pid)], check=True)
    child.wait()
    assert not held


def test_nothing_is_loaded_before_anybody_asks(classes: Classes) -> None:
    classes.classifier.publish(classes.table.compile())
    assert classes.classifier.programs() == []
