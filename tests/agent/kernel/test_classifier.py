# SPDX-License-Identifier: Apache-2.0
"""Processes carry the classes that policies ask for: read from the process map of the running kernel."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.enrich.registry import Registry, Seen
from agent.kernel.classifier import Classifier
from agent.kernel.objects import BpfMap
from agent.kernel.posts import CLASSES_BYTES, Posts, places
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR, SharedMaps
from agent.kernel.view import KernelView
from agent.policy.classes import FOLLOWED_PROTECTED, ClassTable, ProcessConditions
from agent.policy.conditions import KernelFacts
from agent.policy.members import Members
from agent.policy.model import BinaryFilter, LabelSelector, PidFilter, Where, Workload
from agent.policy.trial import kernel_facts
from agent.settings import KernelSettings
from tests.agent.kernel.cgrouping import Cgroups, cgroups, id_of
from tests.agent.kernel.posting import standing
from tests.agent.kernel.support import mounted_bpffs

pytestmark = [pytest.mark.kernel, pytest.mark.root, pytest.mark.spread]
HERE = Where("test", 1, "spec")
FOLLOW_SET_AT, POLICY_SET_AT, PROCESS_BYTES = 48, 80, 112
"""struct process of kprobes/include/wire.h."""


class Classes:
    """A classifier on the sensor."""

    def __init__(self, sensor: Sensor, facts: KernelFacts, posts: Posts | None = None) -> None:
        self.shared = SharedMaps({name: sensor.map_fd(name) for name in FROM_SENSOR})
        self.classifier = Classifier(
            self.shared, has_atomics=facts.has_atomics, has_cast=facts.has_cast, posts=posts
        )
        self.posts = posts or Posts(Path("/"))
        self.table = ClassTable()
        self.processes = BpfMap(sensor.map_fd("processes"), PROCESS_BYTES)

    def ask(self, **conditions: object) -> int:
        asked = ProcessConditions(**conditions)  # type: ignore[arg-type]
        number = self.table.number_of(asked, "test", HERE, "test")
        self.classifier.publish(self.table.compile())
        return number

    def holds(self, number: int, pid: int) -> bool:
        entry = self.processes.lookup(struct.pack("=I", pid)) or bytes(PROCESS_BYTES)
        return bool(int.from_bytes(entry[POLICY_SET_AT:], "little") >> number & 1)

    def is_protected(self, pid: int) -> bool:
        entry = self.processes.lookup(struct.pack("=I", pid)) or bytes(PROCESS_BYTES)
        return bool(int.from_bytes(entry[FOLLOW_SET_AT:], "little") >> FOLLOWED_PROTECTED & 1)

    def close(self) -> None:
        self.classifier.close()
        self.shared.close()


@pytest.fixture(scope="module")
def facts() -> KernelFacts:
    with KernelView() as view:
        return kernel_facts(view)


@pytest.fixture(scope="module")
def sensor() -> Iterator[Sensor]:
    made = Sensor(KernelSettings())
    made.open()
    yield made
    made.close()


@pytest.fixture
def classes(sensor: Sensor, facts: KernelFacts) -> Iterator[Classes]:
    made = Classes(sensor, facts)
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


def test_protected_is_who_runs_such_a_binary_and_nobody_that_it_starts(
    classes: Classes, napping: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    shell = copy_of("sh", tmp_path)
    classes.table = ClassTable(protected=[shell, os.readlink(f"/proc/{napping.pid}/exe")])
    classes.table.protect("test")
    classes.classifier.publish(classes.table.compile())
    script = "sleep 60 & echo $!; (sleep 60; true) & echo $!; wait"
    child = subprocess.Popen([shell, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert child.stdout
    executed, forked = int(child.stdout.readline()), int(child.stdout.readline())
    time.sleep(0.2)
    found = [classes.is_protected(pid) for pid in (napping.pid, child.pid, forked, executed, os.getpid())]
    os.killpg(child.pid, 9)
    child.wait()
    child.stdout.close()
    assert found == [True, True, True, False, False]


def test_nothing_is_loaded_before_anybody_asks(classes: Classes) -> None:
    classes.classifier.publish(classes.table.compile())
    assert classes.classifier.programs() == []


WEB, DB = (LabelSelector((("app", app),), ()) for app in ("web", "db"))


class Pods:
    """Pods that are known, as the classifier is told of them."""

    def __init__(self, classes: Classes, tree: Cgroups) -> None:
        self.classes, self.tree, self.homes = classes, tree, Registry()
        self.members = Members(self.homes.by_id.values)

    def ask(self, **workload: Any) -> int:
        asked = ProcessConditions(workloads=(Workload(**workload),))
        number = self.classes.table.number_of(asked, "test", HERE, "test")
        self.classes.classifier.publish(
            self.classes.table.compile(), self.members.entries(self.classes.table)
        )
        return number

    def make(self, id_: str) -> Path:
        """A pod's container, of which only its cgroup is known."""
        uid = f"{id_[:8]}-2222-3333-4444-555555555555"
        made = self.tree.make(f"kubepods/pod{uid}/{id_}")
        self.homes.seen(Seen(id_of(made), id_of(made), self.tree.path(made)))
        return made

    def label(self, id_: str, app: str) -> None:
        """It becomes known, or changes."""
        pod = {"namespace": "shop", "name": "x", "pod_labels": {"app": app}}
        self.homes.answer({"id": id_, "state": "known", "pod": pod})
        self.classes.classifier.set_cgroups(self.members.changed(self.classes.table, [self.homes.by_id[id_]]))

    def held(self, child: subprocess.Popen[bytes], *numbers: int) -> tuple[bool, ...]:
        """Once it runs its program."""
        deadline = time.monotonic() + 20
        while os.readlink(f"/proc/{child.pid}/exe").endswith("sh") and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        return tuple(self.classes.holds(number, child.pid) for number in numbers)


@pytest.fixture
def pods(classes: Classes) -> Iterator[Pods]:
    with cgroups() as tree:
        yield Pods(classes, tree)


def test_a_pods_first_program_has_the_classes_that_mean_it(pods: Pods) -> None:
    web, db, host = pods.ask(pod=WEB), pods.ask(pod=DB), pods.ask(host=True)
    made = pods.make("a" * 64)
    pods.label("a" * 64, "web")
    child = pods.tree.run(made)
    assert pods.held(child, web, db, host) == (True, False, False)
    ours = pods.tree.run(pods.tree.make("host"))
    assert pods.held(ours, web, db, host) == (False, False, True)


def test_a_policy_that_comes_later_finds_the_pods_that_run(pods: Pods) -> None:
    made = pods.make("a" * 64)
    pods.label("a" * 64, "web")
    child = pods.tree.run(made)
    pods.held(child)
    assert pods.held(child, pods.ask(pod=WEB), pods.ask(pod=DB)) == (True, False)


def test_labels_of_pods_that_run_are_followed(pods: Pods) -> None:
    web, db = pods.ask(pod=WEB), pods.ask(pod=DB)
    child, other = (pods.tree.run(pods.make(id_ * 64)) for id_ in "ab")
    pods.held(other), pods.held(child)
    assert pods.held(child, web, db) == (False, False)
    pods.label("a" * 64, "web")
    assert pods.held(child, web, db) == (True, False)
    pods.label("a" * 64, "db")
    assert pods.held(child, web, db) == (False, True)
    assert pods.held(other, web, db) == (False, False)


def test_a_container_of_which_nobody_told_is_no_host(pods: Pods) -> None:
    host, every = pods.ask(host=True), pods.ask(pod=LabelSelector((), ()))
    child = pods.tree.run(pods.tree.make("c" * 64))
    assert pods.held(child, host, every) == (False, False)


def test_nested_cgroups_count_as_their_pod(pods: Pods) -> None:
    web = pods.ask(pod=WEB)
    made = pods.make("a" * 64)
    pods.label("a" * 64, "web")
    child = pods.tree.run(pods.tree.make(str((made / "init.scope").relative_to(pods.tree.top))))
    assert pods.held(child, web) == (True,)


def test_a_pod_that_is_gone_leaves_nothing_behind(pods: Pods) -> None:
    pods.ask(pod=WEB)
    pods.make("a" * 64)
    pods.label("a" * 64, "web")
    home = pods.homes.by_id["a" * 64]
    home.gone_s = 1.0
    pods.classes.classifier.set_cgroups(pods.members.changed(pods.classes.table, [home]))
    assert struct.pack("=Q", home.cgroup_id) not in pods.classes.classifier._told_cgroups


@contextmanager
def living(directory: Path, facts: KernelFacts) -> Iterator[Classes]:
    """What an agent has, whose classifier may outlive it."""
    with standing(directory) as (sensor, posts):
        made = Classes(sensor, facts, posts)
        yield made
        made.close()


def test_who_executes_while_no_agent_runs_has_its_classes(tmp_path: Path, facts: KernelFacts) -> None:
    binary = BinaryFilter("In", (copy_of("sleep", tmp_path),), follow_children=True)
    with mounted_bpffs(tmp_path / "bpf") as mounted:
        with living(mounted / "th", facts) as first:
            first.posts.note_classes(b"numbers".ljust(CLASSES_BYTES))
            number = first.ask(binaries=(binary,))
        child = subprocess.Popen([binary.values[0], "60"])
        time.sleep(0.2)
        with standing(mounted / "th") as (sensor, posts):
            assert Classes(sensor, facts).holds(number, child.pid)
            assert posts.classes_before.startswith(b"numbers")
        with living(mounted / "th", facts) as second:
            assert second.holds(second.ask(binaries=(binary,)), child.pid)
        child.kill()
        child.wait()


def test_what_nobody_asks_for_ends_with_the_agent(tmp_path: Path, facts: KernelFacts) -> None:
    with mounted_bpffs(tmp_path / "bpf") as mounted, living(mounted / "th", facts) as classes:
        classes.ask(binaries=(BinaryFilter("In", ("/x",)),))
        names = {name for name, _ in places(mounted / "th")}
        assert {"exec", "fork", "classify_exec", "classify_fork", "classify_free"} <= names
        classes.table.release("test")
        classes.classifier.publish(classes.table.compile())
        assert list(places(mounted / "th")) == []


def test_larger_maps_take_the_places_of_those_that_are_full(tmp_path: Path, facts: KernelFacts) -> None:
    with mounted_bpffs(tmp_path / "bpf") as mounted, living(mounted / "th", facts) as classes:
        for count in (1, 200):
            values = tuple(f"/x{number}" for number in range(count))
            number = classes.ask(binaries=(BinaryFilter("NotIn", values),))
        child = subprocess.Popen(["/bin/sleep", "60"])
        time.sleep(0.2)
        assert classes.holds(number, child.pid)
        child.kill()
        child.wait()


def test_names_take_the_places_of_others_that_fill_the_maps(
    classes: Classes, napping: subprocess.Popen[bytes]
) -> None:
    names = [f"/a/name/of/more/than/24/letters/{number}" for number in range(1000)]
    classes.table = ClassTable()
    classes.ask(binaries=(BinaryFilter("NotIn", tuple(names[:20])),))
    room = classes.classifier._room["class_texts_120"]
    classes.table = ClassTable()  # either fits, both together do not
    number = classes.ask(binaries=(BinaryFilter("NotIn", tuple(names[-room:])),))
    assert classes.holds(number, napping.pid)
