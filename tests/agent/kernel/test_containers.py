# SPDX-License-Identifier: Apache-2.0
"""Which cgroup is a container's, asked of the running kernel with real cgroups."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.decode.cgroup import decode_cgroup
from agent.decode.header import KIND_CGROUP
from agent.events import CgroupChange
from agent.kernel.containers import ContainerCgroups
from agent.kernel.objects import BpfMap
from agent.kernel.sensor import Sensor
from agent.settings import KernelSettings
from tests.agent.kernel.cgrouping import Cgroups, cgroups, id_of, remove

pytestmark = [pytest.mark.kernel, pytest.mark.root]
ID, OTHER = "c0" * 32, "d1" * 32
CGROUP_ID_AT, PROCESS_BYTES = 24, 112
"""struct process of kprobes/include/wire.h."""


class Kernel:
    """A sensor that runs, and what its maps and its ring say."""

    def __init__(self) -> None:
        self.sensor = Sensor(KernelSettings())
        self.sensor.open()
        self.containers = ContainerCgroups(self.sensor.map_fd("container_cgroups"))
        self.table = BpfMap(self.sensor.map_fd("container_cgroups"), 8)
        self.processes = BpfMap(self.sensor.map_fd("processes"), PROCESS_BYTES)

    def container_of(self, cgroup: Path) -> int:
        found = self.table.lookup(struct.pack("=Q", id_of(cgroup)))
        return int.from_bytes(found or b"", "little")

    def stamp_of(self, pid: int) -> int:
        entry = self.processes.lookup(struct.pack("=I", pid)) or bytes(PROCESS_BYTES)
        return int.from_bytes(entry[CGROUP_ID_AT : CGROUP_ID_AT + 8], "little")

    def stamped(self, pid: int, wanted: int) -> bool:
        return eventually(lambda: self.stamp_of(pid) == wanted)

    def changes(self) -> list[CgroupChange]:
        found = []
        while records := self.sensor.ring.drain():
            found += [decode_cgroup(raw) for raw in records if raw[0] == KIND_CGROUP]
        return [one for one in found if isinstance(one, CgroupChange)]


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    made.sensor.close()


@pytest.fixture
def tree() -> Iterator[Cgroups]:
    with cgroups() as made:
        yield made


@pytest.mark.spread
@pytest.mark.parametrize(
    "name",
    [ID, f"docker-{ID}.scope", f"libpod-{ID}", f"cri-containerd-{ID}.scope", f"kubepods-x.slice:crio:{ID}"],
)
def test_a_cgroup_with_a_containers_name_is_its_own_container(
    kernel: Kernel, tree: Cgroups, name: str
) -> None:
    made = tree.make(name)
    assert kernel.container_of(made) == id_of(made)


@pytest.mark.spread
@pytest.mark.parametrize(
    "name", ["system.slice", f"crio-conmon-{ID}.scope", f"libpod-conmon-{ID}", ID[:-1], f"x{ID}", ID.upper()]
)
def test_other_cgroups_belong_to_no_container(kernel: Kernel, tree: Cgroups, name: str) -> None:
    assert kernel.container_of(tree.make(name)) == 0


def test_cgroups_in_a_container_count_as_the_container_up_to_the_next_one(
    kernel: Kernel, tree: Cgroups
) -> None:
    outer, inner = tree.make(ID), tree.make(f"{ID}/payload/docker/{OTHER}")
    assert kernel.container_of(tree.make(f"{ID}/payload")) == id_of(outer)
    assert kernel.container_of(inner) == id_of(inner)


def test_a_process_is_stamped_when_it_executes_in_the_container(kernel: Kernel, tree: Cgroups) -> None:
    made = tree.make(f"{ID}/init.scope").parent
    child = tree.run(made / "init.scope", ["sh", "-c", "sleep 60 & echo $!; wait"])
    assert child.stdout is not None
    forked = int(child.stdout.readline())
    assert kernel.stamped(child.pid, id_of(made))
    assert kernel.stamped(forked, id_of(made))


def test_who_only_joined_is_no_process_of_the_container(kernel: Kernel, tree: Cgroups) -> None:
    made = tree.make(ID)
    child = tree.run(tree.make("host"), ["sh", "-c", f"read go; echo $$ > {made}/cgroup.procs; echo; read"])
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(b"go\n")
    child.stdin.flush()
    child.stdout.readline()
    assert kernel.stamp_of(child.pid) == 0


def test_leaving_the_cgroup_is_no_way_out(kernel: Kernel, tree: Cgroups) -> None:
    made, host = tree.make(ID), tree.make("host")
    child = tree.run(made, ["sh", "-c", f"echo $$ > {host}/cgroup.procs && exec sleep 60"])
    assert eventually(lambda: str(child.pid) in (host / "cgroup.procs").read_text().split())
    assert kernel.stamped(child.pid, id_of(made))


def test_processes_that_were_there_before_are_stamped(tree: Cgroups) -> None:
    made = tree.make(ID)
    child = tree.run(made)
    assert eventually(lambda: str(child.pid) in (made / "cgroup.procs").read_text().split())
    kernel = Kernel()
    try:
        found = dict(kernel.containers.existing())
        assert found[id_of(made)] == tree.path(made)
        kernel.containers.put(id_of(made), id_of(made))
        kernel.sensor.existing_tasks()
        assert kernel.stamp_of(child.pid) == id_of(made)
    finally:
        kernel.sensor.close()


def test_the_ring_tells_of_containers_that_are_made_and_removed(kernel: Kernel, tree: Cgroups) -> None:
    made = tree.make(ID)
    number, path = id_of(made), tree.path(made).encode()
    remove(made)
    changes = [(one.cgroup_id, one.container, one.is_removed, one.path) for one in kernel.changes()]
    assert changes.count((number, number, False, path)) == 1
    assert changes.count((number, number, True, path)) == 1


def test_other_cgroups_are_told_of_when_they_are_made(kernel: Kernel, tree: Cgroups) -> None:
    made = tree.make("lxc.payload.web")
    [told] = [one for one in kernel.changes() if one.cgroup_id == id_of(made)]
    assert (told.container, told.path.decode()) == (0, tree.path(made))


def test_a_container_that_only_its_reader_knows_is_put_with_all_below(kernel: Kernel, tree: Cgroups) -> None:
    made, below = tree.make("lxc.payload.web"), tree.make("lxc.payload.web/init.scope")
    numbers = list(kernel.containers.put_below(tree.path(made), id_of(made)))
    assert sorted(numbers) == sorted([id_of(made), id_of(below)])
    assert kernel.container_of(below) == id_of(made)
    assert kernel.containers.id_of(tree.path(below)) == id_of(below)


def test_a_path_does_not_lead_out_of_the_hierarchy(kernel: Kernel) -> None:
    assert kernel.containers.id_of("/../../../etc") == 0
