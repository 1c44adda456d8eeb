# SPDX-License-Identifier: Apache-2.0
"""The desk compares and records; the engine behind it is real. tests/agent/test_policing.py asks both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from agent.aside import InThread
from agent.errors import TracehoundError, UsageError
from agent.kernel.sensor import Sensor
from agent.kernel.sharedmaps import FROM_SENSOR
from agent.policy.desk import Desk
from agent.policy.engine import Engine
from agent.policy.model import Problem, Where
from agent.policy.parse import parse_policies
from agent.policy.sources import Configured
from agent.settings import KernelSettings

pytestmark = [pytest.mark.root, pytest.mark.kernel]
POLICY = """\
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: NAME}
spec:
  kprobes:
  - {call: sys_getpgid, syscall: true, args: [{index: 0, type: int}], selectors: [{matchPIDs: [PIDS]}]}
""".replace("PIDS", "{operator: In, values: [4711]}")


@pytest.fixture(scope="module")
def sensor() -> Iterator[Sensor]:
    sensor = Sensor(replace(KernelSettings(), ring_bytes=1 << 20))
    sensor.open()
    yield sensor
    sensor.close()


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def desk(sensor: Sensor, records: list[dict[str, Any]]) -> Iterator[Desk]:
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    made = Desk(engine, lambda kind, content: records.append({"kind": kind, **content}))
    yield made
    made.close()


def configured(*names: str, problems: tuple[Problem, ...] = ()) -> Configured:
    policies = {}
    for name in names:
        (policy,), _ = parse_policies(POLICY.replace("NAME", name), f"{name}.yaml")
        policies[name] = policy
    return Configured(policies, list(problems))


def test_what_is_configured_already_is_not_touched(desk: Desk, records: list[dict[str, Any]]) -> None:
    assert desk.configure(configured("a", "b")) == ["policy a loaded", "policy b loaded"]
    records.clear()
    assert desk.configure(configured("a", "b")) == []
    assert records == []


def test_a_policy_that_a_request_deleted_stays_away(desk: Desk) -> None:
    desk.configure(configured("a"))
    desk.delete("a", "api")
    assert desk.configure(configured("a")) == []
    assert not desk.knows("a")


def test_a_policy_of_a_file_with_a_mistake_runs_on(desk: Desk) -> None:
    desk.configure(configured("a"))
    mistake = Problem(Where("a.yaml", 1, ""), "no YAML")
    assert desk.configure(configured(problems=(mistake,))) == ["a.yaml: a.yaml:1: no YAML"]
    assert desk.summary()["enabled"] == 1
    assert desk.configure(configured()) == ["policy a deleted"]


def test_a_record_names_hooks_and_who_asked(desk: Desk, records: list[dict[str, Any]]) -> None:
    desk.add(POLICY.replace("NAME", "a"), "monitor", "api")
    (record,) = records
    assert (record["kind"], record["name"], record["action"]) == ("policy", "a", "added")
    assert (record["by"], record["mode"], record["state"]) == ("api", "monitor", "enabled")
    assert all(set(hook) == {"function", "attach", "target"} for hook in record["hooks"])


def test_a_policy_that_is_added_again_is_changed(desk: Desk, records: list[dict[str, Any]]) -> None:
    for _ in range(2):
        desk.add(POLICY.replace("NAME", "a"), "", "api")
    assert [record["action"] for record in records] == ["added", "changed"]


def test_the_record_tells_what_of_a_text_was_loaded(desk: Desk, records: list[dict[str, Any]]) -> None:
    good, bad = (POLICY.replace("NAME", name) for name in ("good", "bad"))
    with pytest.raises(TracehoundError):
        desk.add(f"{good}---\n{bad.replace('sys_getpgid, syscall: true', 'nope, syscall: false')}", "", "api")
    told = [(record["name"], record["action"], record["by"]) for record in records]
    assert told == [("good", "added", "api"), ("bad", "refused", "api")]


def test_the_ring_is_read_while_policies_are_loaded(sensor: Sensor) -> None:
    calls: list[int] = []
    engine = Engine({name: sensor.map_fd(name) for name in FROM_SENSOR})
    desk = Desk(engine, lambda kind, content: None, InThread(lambda: calls.append(1)))
    desk.add("---\n".join(POLICY.replace("NAME", name) for name in "abc"), "", "api")
    desk.close()
    assert len(calls) > 3


def test_a_text_without_a_policy_is_a_mistake(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no policy in this"):
        desk.add("# later\n---\n", "", "api")


def test_nothing_to_change_is_a_mistake(desk: Desk) -> None:
    desk.add(POLICY.replace("NAME", "a"), "", "api")
    with pytest.raises(UsageError, match="nothing to change"):
        desk.set("a", "api")


def test_what_cannot_be_loaded_is_listed_with_its_error(desk: Desk) -> None:
    text = POLICY.replace("NAME", "a").replace("sys_getpgid, syscall: true", "nope, syscall: false")
    with pytest.raises(TracehoundError):
        desk.add(text, "", "api")
    (told,) = desk.told()["policies"]
    assert (told["state"], "nope" in told["error"]) == ("load_error", True)
    assert desk.summary()["failures"][0]["name"] == "a"


def renamed(file: str, name: str, text: str = POLICY) -> Configured:
    policies, _ = parse_policies(text.replace("NAME", name), file)
    return Configured({policy.key: policy for policy in policies}, [])


def test_a_renamed_policy_comes_in_one_change(desk: Desk, records: list[dict[str, Any]]) -> None:
    desk.configure(configured("a"))
    records.clear()
    epoch = desk._engine.policies._switch.epoch
    assert desk.configure(renamed("a.yaml", "b")) == ["policy b loaded in the place of a"]
    assert desk._engine.policies._switch.epoch == epoch + 1
    assert [(record["name"], record["action"]) for record in records] == [("a", "deleted"), ("b", "added")]
    assert desk.configure(renamed("a.yaml", "b")) == []


def test_a_policy_runs_on_while_its_renamed_version_cannot(desk: Desk) -> None:
    bad = POLICY.replace("sys_getpgid, syscall: true", "nope, syscall: false")
    desk.configure(configured("a"))
    for _ in range(2):
        said = desk.configure(renamed("a.yaml", "b", bad))
        assert said[1:] == ["policy a runs on in its place"]
    assert (desk.summary()["enabled"], [one.name for one in desk.failures()]) == (1, ["b"])
    assert desk.configure(configured("x"))[:2] == ["policy a deleted", "policy b deleted"]
    assert desk.failures() == []


def test_a_renamed_policy_is_tried_until_it_can_be_loaded(desk: Desk) -> None:
    bad = POLICY.replace("sys_getpgid, syscall: true", "nope, syscall: false")
    desk.configure(configured("a"))
    desk.configure(renamed("a.yaml", "b", bad))
    assert desk.configure(renamed("a.yaml", "b")) == ["policy b loaded in the place of a"]
    assert (desk.summary()["enabled"], desk.failures()) == (1, [])
