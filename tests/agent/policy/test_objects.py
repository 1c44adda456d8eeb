# SPDX-License-Identifier: Apache-2.0
"""Policies that are objects of Kubernetes, with a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.desk import Desk
from agent.policy.engine import Engine
from agent.policy.objects import Objects
from agent.settings import KernelSettings

pytestmark = pytest.mark.root


def thing(name: str, generation: int = 1, namespace: str = "", call: str = "sys_getpgid", **spec: Any) -> Any:
    """An object, as the child sends it."""
    hook = {"call": call, "syscall": True, "args": [{"index": 0, "type": "int"}]}
    kind = "TracingPolicyNamespaced" if namespace else "TracingPolicy"
    document = {
        "apiVersion": "cilium.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "spec": {"kprobes": [hook], **spec},
    }
    told = {"kind": kind, "namespace": namespace, "name": name, "uid": f"u-{name}"}
    return {**told, "generation": generation, "yaml": json.dumps(document)}


class Node:
    """A node's objects, its desk and what was recorded."""

    def __init__(self, sensor: Sensor, file: Path) -> None:
        self.records: list[tuple[str, str]] = []
        self.notices: list[str] = []
        maps = {name: sensor.map_fd(name) for name in FROM_SENSOR}
        self.desk = Desk(Engine(maps), self._record)
        self.aside: list[str] = []
        self.objects = Objects(lambda: self.desk, file, self.notices.append, self._carry_out)

    def _carry_out(self, call: Any, *arguments: Any) -> Any:
        self.aside.append(call.__name__)
        return call(*arguments)

    def _record(self, kind: str, content: Any) -> None:
        self.records.append((content["name"], content["action"]))

    def states(self) -> dict[str, tuple[str, str]]:
        """State and error of each object."""
        told = self.objects.status()["policies"]
        return {one["name"]: (one["state"], one["error"]) for one in told}


@pytest.fixture(scope="module")
def sensor() -> Iterator[Sensor]:
    """Maps that policies share."""
    sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
    sensor.open()
    yield sensor
    sensor.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the last known set is kept."""
    return tmp_path / "state" / "kubernetes.json"


@pytest.fixture
def node(sensor: Sensor, file: Path) -> Iterator[Node]:
    """A node."""
    made = Node(sensor, file)
    yield made
    made.desk.close()


def test_the_set_runs_and_what_is_not_in_it_is_deleted(node: Node) -> None:
    node.objects.take([thing("one"), thing("two", call="sys_getsid")])
    node.objects.take([thing("two", call="sys_getsid")])
    assert node.states() == {"two": ("enabled", "")} and not node.desk.knows("one")
    assert node.records == [("one", "added"), ("two", "added"), ("one", "deleted")]


def test_texts_of_others_are_read_beside_the_loop(node: Node) -> None:
    node.objects.take([thing("one"), thing("two")])
    assert node.aside == ["parse_policies", "parse_policies"]


def test_the_same_set_again_changes_nothing(node: Node) -> None:
    node.objects.take([thing("one")])
    node.objects.take([thing("one")])
    assert node.records == [("one", "added")]


def test_a_bad_text_is_told_and_the_version_before_runs_on(node: Node) -> None:
    node.objects.take([thing("one")])
    node.objects.take([thing("one", 2, kprobe=[])])
    (told,) = node.objects.status()["policies"]
    assert told["state"] == "load_error" and told["generation"] == 2
    assert "the version before runs on" in told["error"] and told["hooks"]


def test_a_bad_text_that_never_ran_does_not_keep_out_others(node: Node) -> None:
    node.objects.take([thing("bad", kprobe=[]), thing("good")])
    assert node.states()["good"] == ("enabled", "")
    assert "kprobe" in node.states()["bad"][1]


def test_a_call_that_does_not_exist_here_is_told(node: Node) -> None:
    node.objects.take([thing("bad", call="no_such_function")])
    assert node.states()["bad"][0] == "load_error" and "no_such_function" in node.states()["bad"][1]


def test_a_reason_in_the_place_of_a_text_is_told(node: Node) -> None:
    node.objects.take([{**thing("bad"), "yaml": "# it is longer than 7 bytes"}])
    assert node.states()["bad"] == ("load_error", "it is longer than 7 bytes")


def test_a_mistake_is_told_by_its_path(node: Node) -> None:
    node.objects.take([thing("bad", kprobes=[{"call": "sys_foo", "syscall": True}])])
    assert node.states()["bad"][1] == "spec.kprobes[0].call: sys_foo is no system call"


def test_node_selectors_follow_the_node_s_labels(node: Node) -> None:
    selected = thing("one", nodeSelector={"matchLabels": {"zone": "a"}})
    node.objects.take([selected])
    assert node.states()["one"][0] == "skipped" and "not known yet" in node.states()["one"][1]
    node.objects.relabel({"zone": "a"})
    assert node.states()["one"] == ("enabled", "")
    node.objects.relabel({"zone": "b"})
    assert node.states()["one"] == ("skipped", "")


def test_the_last_known_set_runs_after_a_start_without_api_server(
    node: Node, sensor: Sensor, file: Path
) -> None:
    node.objects.relabel({"zone": "a"})
    node.objects.take([thing("one", nodeSelector={"matchLabels": {"zone": "a"}})])
    node.desk.close()
    again = Node(sensor, file)
    again.objects.start()
    assert again.states() == {"one": ("enabled", "")} and file.stat().st_mode & 0o777 == 0o600
    again.desk.close()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"set":7,"labels":[]}', '{"set":[{"name":1}]}'])
def test_a_broken_file_is_as_good_as_none(node: Node, file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    node.objects.start()
    assert node.objects.status() == {"policies": []} and "cannot be read" in node.notices[0]


def test_a_policy_that_the_node_has_otherwise_is_not_taken_over(node: Node) -> None:
    node.desk.add(thing("one")["yaml"], "", "api")
    node.objects.take([thing("one")])
    assert "already" in node.states()["one"][1]
    node.objects.take([])
    assert node.desk.knows("one")


def test_it_runs_once_the_other_of_its_name_is_gone(node: Node) -> None:
    node.desk.add(thing("one")["yaml"], "", "api")
    node.objects.take([thing("one")])
    node.desk.delete("one", "api")
    node.objects.take([thing("one")])
    assert node.states()["one"] == ("enabled", "")


def test_of_many_mistakes_the_first_are_told(node: Node) -> None:
    node.objects.take([thing("bad", kprobes=[{"call": f"sys_no{n}", "syscall": True} for n in range(500)])])
    error = node.states()["bad"][1]
    assert "sys_no9 " in error and error.endswith("490 more") and len(error) < 2000


def test_a_text_of_another_name_is_refused(node: Node) -> None:
    node.objects.take([thing("one") | {"name": "other"}])
    assert node.states()["other"] == ("load_error", "holds no policy other")


def test_a_place_that_cannot_be_written_is_told_and_policies_run(sensor: Sensor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    node = Node(sensor, tmp_path / "file" / "state.json")
    node.objects.take([thing("one")])
    assert node.states() == {"one": ("enabled", "")} and "not kept for the next start" in node.notices[0]
    node.desk.close()
