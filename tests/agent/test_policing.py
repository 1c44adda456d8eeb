# SPDX-License-Identifier: Apache-2.0
"""The daemon's policies, with real hooks of this kernel and a sensor that loads nothing but its maps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.errors import SettingsError
from agent.kernel.sensor import Sensor
from agent.policing import Policing, Surroundings, is_service, pin_dir_of, state_file_of
from agent.settings import IdentitySettings, KernelSettings, PolicySettings, Settings
from tests.agent.kernel.support import mounted_bpffs

NONE = PolicySettings(dirs=())
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: NAME}
spec:
  kprobes:
  - call: CALL
    syscall: true
    args: [{index: 0, type: int}]
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: ["4711"]}]
"""


class World:
    """What an agent would offer, and what it was told."""

    def __init__(self, sensor: Sensor, pin_dir: Path | None = None, state_file: Path | None = None) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []
        self.notices: list[str] = []
        self.books: list[Any] = []
        around = Surroundings(sensor.map_fd, self.books.append, self._record, self.notices.append)
        self.policing = Policing(around, pin_dir, state_file)

    def _record(self, kind: str, content: Mapping[str, object]) -> None:
        self.records.append((kind, dict(content)))

    def actions(self) -> list[tuple[str, str]]:
        """Of the records of policies."""
        return [(content["name"], content["action"]) for kind, content in self.records if kind == "policy"]


@pytest.fixture(scope="module")
def sensor() -> Iterator[Sensor]:
    sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
    sensor.open()
    yield sensor
    sensor.close()


@pytest.fixture
def world(sensor: Sensor) -> Iterator[World]:
    made = World(sensor)
    yield made
    made.policing.close()


@pytest.fixture
def shelf(tmp_path: Path) -> PolicySettings:
    put(tmp_path, "one")
    return PolicySettings(dirs=(str(tmp_path),))


def put(directory: Path, name: str, call: str = "sys_getpgid") -> Path:
    file = directory / f"{name}.yaml"
    file.write_text(POLICY.replace("NAME", name).replace("CALL", call))
    return file


@pytest.mark.root
@pytest.mark.kernel
def test_without_a_policy_nothing_is_made(world: World) -> None:
    world.policing.start(NONE)
    assert (world.books, world.records, world.policing.summary()["enabled"]) == ([], [], 0)


@pytest.mark.root
@pytest.mark.kernel
def test_a_configured_policy_is_loaded_and_recorded(world: World, shelf: PolicySettings) -> None:
    world.policing.start(shelf)
    assert world.policing.summary()["enabled"] == 1
    ((_, record),) = world.records
    assert (record["action"], record["by"]) == ("added", f"{shelf.dirs[0]}/one.yaml")
    assert record["hooks"]


@pytest.mark.root
@pytest.mark.kernel
def test_a_reload_touches_only_what_changed(world: World, shelf: PolicySettings) -> None:
    directory = Path(shelf.dirs[0])
    put(directory, "two")
    world.policing.start(shelf)
    world.records.clear()
    put(directory, "two", "sys_getsid")
    put(directory, "three")
    assert world.policing.reload(shelf) == ["policy three loaded", "policy two loaded"]
    assert world.actions() == [("three", "added"), ("two", "changed")]


@pytest.mark.root
@pytest.mark.kernel
def test_a_policy_whose_file_is_gone_is_deleted(world: World, shelf: PolicySettings) -> None:
    world.policing.start(shelf)
    (Path(shelf.dirs[0]) / "one.yaml").unlink()
    assert world.policing.reload(shelf) == ["policy one deleted"]
    assert world.policing.summary()["hooks"] == 0


@pytest.mark.root
@pytest.mark.kernel
def test_a_mistake_in_a_file_leaves_what_ran_from_it(world: World, shelf: PolicySettings) -> None:
    world.policing.start(shelf)
    (Path(shelf.dirs[0]) / "one.yaml").write_text("kind: Tracing")
    world.policing.reload(shelf)
    told = world.policing.summary()
    assert (told["enabled"], told["failed"]) == (1, 1)


@pytest.mark.root
@pytest.mark.kernel
def test_a_bad_policy_is_noticed_and_the_others_run(world: World, shelf: PolicySettings) -> None:
    put(Path(shelf.dirs[0]), "bad", "sys_no_such_call")
    world.policing.start(shelf)
    told = world.policing.summary()
    assert (told["enabled"], told["failed"]) == (1, 1)
    assert any("sys_no_such_call" in notice for notice in world.notices)


@pytest.mark.root
@pytest.mark.kernel
def test_with_strict_a_bad_policy_is_an_error(world: World, shelf: PolicySettings) -> None:
    put(Path(shelf.dirs[0]), "bad", "sys_no_such_call")
    with pytest.raises(SettingsError, match="sys_no_such_call"):
        world.policing.start(replace(shelf, strict=True))


@pytest.mark.root
@pytest.mark.kernel
def test_a_policy_can_be_added_listed_switched_and_deleted(world: World) -> None:
    text = POLICY.replace("NAME", "asked").replace("CALL", "sys_getpgid")
    ask = world.policing.answer
    assert ask({"request": "policy_add", "text": text, "mode": "monitor"})["policies"] == ["asked"]
    (listed,) = ask({"request": "policies"})["policies"]
    assert (listed["state"], listed["mode"]) == ("enabled", "monitor")
    ask({"request": "policy_set", "key": "asked", "mode": "enforce"})
    ask({"request": "policy_set", "key": "asked", "enable": False})
    (listed,) = ask({"request": "policies"})["policies"]
    assert (listed["state"], listed["mode"], listed["hooks"]) == ("disabled", "enforce", [])
    ask({"request": "policy_delete", "key": "asked"})
    actions = [action for _, action in world.actions()]
    assert actions == ["added", "mode", "disabled", "deleted"]


@pytest.mark.root
@pytest.mark.kernel
def test_a_policy_of_another_domain_is_not_there(world: World, shelf: PolicySettings) -> None:
    world.policing.start(shelf)
    ask = world.policing.answer
    (listed,) = ask({"request": "policies"})["policies"]
    assert (listed["domain"], listed["source"]) == ("static", f"{shelf.dirs[0]}/one.yaml")
    refused = ask({"request": "policy_delete", "key": "one", "domain": "k8s"})
    assert (refused["code"], refused["error"]) == ("unknown", "no policy one in the domain k8s")
    assert ask({"request": "policy_delete", "key": "one", "domain": "static"}) == {"ok": True}


@pytest.mark.root
@pytest.mark.kernel
def test_a_text_that_is_no_policy_is_refused_and_recorded(world: World) -> None:
    answer = world.policing.answer({"request": "policy_add", "text": "kind: Pod"})
    assert (answer["code"], "<api>:1" in answer["error"]) == ("invalid", True)
    assert world.actions() == [("", "refused")]


@pytest.mark.root
@pytest.mark.kernel
def test_a_hook_that_was_detached_is_attached_again(world: World, shelf: PolicySettings) -> None:
    world.policing.start(shelf)
    assert world.policing._desk is not None
    places = world.policing._desk._engine.hooks._places
    place = next(iter(places.values()))
    attachment = place.dispatchers[0].attachment
    assert attachment is not None
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), attachment.link)
    assert all(hook["attached"] for hook in world.policing.watch())
    (content,) = [content for kind, content in world.records if kind == "attachment"]
    assert content["attached"]


@pytest.mark.root
@pytest.mark.kernel
def test_what_pinned_hooks_sent_without_an_agent_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "one")
    shelf = PolicySettings(dirs=(str(tmp_path),))
    with mounted_bpffs(tmp_path / "bpf") as directory:
        for calls, missed in ((2, 0), (0, 2)):
            sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
            sensor.open()
            world = World(sensor, directory)
            world.policing.start(shelf)
            assert world.policing.missed().get(("agent_down", "policy"), 0) == missed
            assert not world.policing.takes_over
            world.policing.close()
            sensor.close()
            for _ in range(
                calls
            ):  # the hook is pinned and goes on, its records wait; our own calls make none
                subprocess.run([sys.executable, "-c", "import os; os.getpgid(4711)"], capture_output=True)


@pytest.mark.root
@pytest.mark.kernel
def test_a_spent_budget_is_an_alarm(world: World) -> None:
    text = POLICY.replace("NAME", "kills").replace("CALL", "sys_getpgid")
    text += "      matchActions: [{action: Sigkill}]\n"
    world.policing.answer({"request": "policy_add", "text": text})
    assert world.policing._desk is not None
    slots = world.policing._desk._engine.shared.map("policies")
    slots.update(bytes(4), b"\1\0\0\0".ljust(24, b"\0"))  # as the kernel does when the budget is spent
    world.policing.tick()
    assert world.actions()[-1] == ("kills", "alarm")
    assert world.policing.summary()["monitored"] == 1
    assert "only monitors" in world.notices[-1]


def test_an_unknown_policy_is_an_error_without_an_engine() -> None:
    around = Surroundings(lambda name: -1, print, lambda kind, content: None, print)
    answer = Policing(around).answer({"request": "policy_delete", "key": "x"})
    assert (answer["error"], answer["code"]) == ("no policy x", "unknown")


def test_a_run_in_a_terminal_pins_nothing_unless_it_is_asked_to() -> None:
    assert pin_dir_of(Settings()) is None
    wanted = Settings(policies=PolicySettings(persist=True))
    assert pin_dir_of(wanted) == Path("/sys/fs/bpf/tracehound")


def test_a_service_is_what_systemd_started() -> None:
    assert is_service({"SYSTEMD_EXEC_PID": str(os.getpid())})
    assert not is_service({"SYSTEMD_EXEC_PID": str(os.getppid())})


def test_policies_of_kubernetes_are_kept_only_in_a_cluster() -> None:
    inside = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    off = replace(Settings(), identity=IdentitySettings(kubernetes=False))
    assert state_file_of(Settings(), {}) is None and state_file_of(off, inside) is None
    assert state_file_of(Settings(), inside) == Path("/var/lib/tracehound/kubernetes.json")


@pytest.mark.root
def test_objects_of_kubernetes_run_beside_configured_policies(world: World, shelf: PolicySettings) -> None:
    text = POLICY.replace("NAME", "two").replace("CALL", "sys_getsid")
    told = {
        "kind": "TracingPolicy",
        "namespace": "",
        "name": "two",
        "uid": "u",
        "generation": 1,
        "yaml": text,
    }
    world.policing.start(shelf)
    world.policing.relabel_node({"zone": "a"})
    world.policing.take_objects([told])
    assert world.policing.object_status()["policies"][0]["state"] == "enabled"
    world.policing.answer({"request": "policies"})
    assert world.policing.changes == 0
    world.policing.answer({"request": "policy_set", "key": "two", "enable": False})
    assert world.policing.changes == 1
    assert world.policing.object_status()["policies"][0]["state"] == "disabled"
    world.policing.take_objects([])
    assert world.actions() == [("one", "added"), ("two", "added"), ("two", "disabled"), ("two", "deleted")]


@pytest.mark.root
def test_labels_that_come_before_the_start_do_not_make_the_last_known_set_forgotten(
    sensor: Sensor, tmp_path: Path
) -> None:
    text = POLICY.replace("NAME", "two").replace("CALL", "sys_getsid")
    told = {
        "kind": "TracingPolicy",
        "namespace": "",
        "name": "two",
        "uid": "u",
        "generation": 1,
        "yaml": text,
    }
    for things in ([told], None):
        world = World(sensor, state_file=tmp_path / "kubernetes.json")
        world.policing.relabel_node({"z": "a"})
        world.policing.start(NONE)
        if things:
            world.policing.take_objects(things)
        (status,) = world.policing.object_status()["policies"]
        assert (status["state"], status["error"]) == ("enabled", "")
        world.policing.close()
