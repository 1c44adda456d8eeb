# SPDX-License-Identifier: Apache-2.0
"""Containers from their cgroup to the log: a whole agent, real cgroups and real containers, and a child that
knows them by rote."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.enrich.home import Home
from agent.enrich.registry import Seen
from agent.errors import TracehoundError
from agent.events import CgroupChange, Head
from agent.following import Following, in_cluster
from agent.identifying import Identifying
from agent.log.entry import Cursor
from agent.log.tail import Chunk
from agent.settings import ContainerSettings, IdentitySettings, Settings
from exporters.joining import JoinedSource, Joining
from exporters.source import Source
from tests.agent.kernel.cgrouping import Cgroups, cgroups, remove
from tests.agent.running import Runc, Running, running, why_no_containers

kernel = pytest.mark.kernel
root = pytest.mark.root
has_runc = pytest.mark.skipif(bool(why_no_containers()), reason=why_no_containers())
ID, OTHER = "c0" * 32, "d1" * 32
UID = "11111111-2222-3333-4444-555555555555"
HEAD = Head(9, 0, 1, 1, 1, 0, 0, 0, 0)
UNASKED = IdentitySettings(kubernetes=False, runtimes=False)


@pytest.fixture
def tree() -> Iterator[Cgroups]:
    with cgroups() as made:
        yield made


@pytest.fixture
def runc(tmp_path: Path) -> Iterator[Runc]:
    made = Runc(tmp_path / "runc")
    yield made
    made.close()


def in_pod(id_: str = ID, uid: str = UID) -> str:
    return f"kubepods/besteffort/pod{uid}/{id_}"


def pod_names(agent: Running, id_: str) -> list[str]:
    return [one["process_exec"]["process"].get("pod", {}).get("name", "") for one in agent.execs(id_)]


@kernel
@root
def test_the_first_exec_of_a_pod_that_was_answered_for_says_which(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path) as agent:
        made = tree.make(in_pod())
        assert agent.until(lambda: agent.updates(ID))
        tree.run(made, ["true"])
        assert agent.until(lambda: agent.execs(ID))
        assert pod_names(agent, ID) == [f"pod-{ID}"]


@kernel
@root
def test_a_late_answer_follows_as_a_record_and_counts_from_then_on(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path, "late") as agent:
        tree.run(tree.make(in_pod()), ["sh", "-c", "read go; true"])
        assert agent.until(lambda: agent.execs(ID))
        assert agent.execs(ID)[0]["tracehound"]["container"] == {"id": ID, "state": "pending"}
        assert agent.until(lambda: agent.updates(ID))
        [update] = agent.updates(ID)
        assert (update["state"], update["pod"]["name"]) == ("known", f"pod-{ID}")
        place = next(p for p in agent.daemon.tree.living.values() if p.container == ID)
        assert f'"name":"pod-{ID}"' in agent.daemon.encoder.fragment(place)


@root
def test_a_pod_that_was_deleted_is_told(tmp_path: Path) -> None:
    pod = {"uid": UID, "namespace": "shop", "name": "web-1", "labels": {}}
    with running(tmp_path) as agent:
        take = agent.following.identifying._takers["pod"]
        take({**pod, "deleted": False})
        take({**pod, "deleted": True})
        told = [line["tracehound"].get("pod_deleted") for line in agent.lines()]
    assert [one for one in told if one] == [{"namespace": "shop", "name": "web-1", "uid": UID}]


@kernel
@root
def test_outside_of_kubernetes_a_container_has_its_name(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path) as agent:
        made = tree.make(f"docker/{ID}")
        assert agent.until(lambda: agent.updates(ID))
        tree.run(made, ["true"])
        assert agent.until(lambda: agent.execs(ID))
        [told] = agent.execs(ID)
        assert (
            told["tracehound"]["container"]["name"] == "main" and "pod" not in told["process_exec"]["process"]
        )


@kernel
@root
def test_a_process_in_a_nested_cgroup_belongs_to_the_container(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path) as agent:
        tree.run(tree.make(in_pod() + "/init.scope"), ["true"])
        assert agent.until(lambda: agent.execs(ID))
        assert agent.execs(ID)[0]["tracehound"]["cgroup"]["name"] == "init.scope"


@kernel
@root
def test_without_an_answer_everything_works_and_the_reason_is_told(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path, "hangs", containers=ContainerSettings(patience_seconds=0.3)) as agent:
        tree.run(tree.make(in_pod()), ["true"])
        assert agent.until(lambda: agent.updates(ID) and agent.execs(ID))
        [update] = agent.updates(ID)
        assert update["state"] == "unknowable" and "0.3 s" in update["reason"]


@kernel
@root
def test_where_nobody_is_asked_the_reason_is_there_at_once(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path, identity=UNASKED) as agent:
        tree.make(in_pod())
        assert agent.until(lambda: agent.updates(ID))
        assert "identity.runtimes" in agent.updates(ID)[0]["reason"]
        assert not agent.following.identifying.is_running


@kernel
@root
def test_a_container_that_is_started_once_more_is_told_of_once_more(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path, identity=UNASKED) as agent:
        remove(tree.make(in_pod()))
        assert agent.until(lambda: len(agent.updates(ID)) == 1)
        tree.make(in_pod())
        assert agent.until(lambda: len(agent.updates(ID)) == 2)


@root
def test_a_cgroup_of_the_same_name_takes_nothing_from_the_container(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path) as agent:
        tree.run(tree.make(in_pod()), ["true"]).wait()
        assert agent.until(lambda: agent.updates(ID))
        number = (made := tree.make(f"user.slice/docker-{ID}.scope")).stat().st_ino
        tree.run(made, ["true"])
        assert agent.until(lambda: agent.execs(f"{number}:{ID}"))
        [forged] = agent.execs(f"{number}:{ID}")
        assert "pod" not in forged["process_exec"]["process"]
        assert forged["tracehound"]["container"]["state"] == "unknowable"
        assert agent.following.registry.by_id[ID].pod


def test_what_a_hook_tells_is_harmless_and_bounded() -> None:
    followed = Following(Settings(), "n1", Policies(), lambda kind, content: None, print)
    told = {"id": ID, "cgroup": "/x", "pod_name": "\x1b[2J" + "x" * 9999, "pod_namespace": 7}
    followed.runtime_hook(told)
    pod = followed.registry.by_id[ID].pod
    assert str(pod["name"]).startswith("\\x1b[2J") and len(pod["name"]) < 300 and "namespace" not in pod
    followed.close()


class Policies:
    """An agent without policies."""

    changes = 0

    def take_objects(self, things: object) -> None: ...
    def relabel_node(self, labels: Mapping[str, str]) -> None: ...
    def containers_changed(self, homes: Iterable[Home]) -> None: ...

    def object_status(self) -> dict[str, Any]:
        """None."""
        return {"policies": []}


def test_a_policy_that_was_disabled_by_hand_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(Identifying, "is_running", True)
    monkeypatch.setattr(Identifying, "tick", lambda self, now: None)
    monkeypatch.setattr(Identifying, "say", lambda self, message: said.append(message))
    policies, status = Policies(), {"policies": [{"name": "one", "state": "disabled"}]}
    monkeypatch.setattr(policies, "object_status", lambda: status)
    followed = Following(Settings(), "n1", policies, lambda kind, content: None, print)
    for now, changes in ((1.0, 0), (2.0, 0), (3.0, 1), (4.0, 1)):
        policies.changes = changes
        followed.tick(now)
    assert said == [{"status": status}] * 2
    followed.close()


@pytest.fixture
def unanswered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    """A container that is there, and a child that says nothing by itself."""
    monkeypatch.setattr(Identifying, "want", lambda self: None)
    monkeypatch.setattr(Identifying, "handle", lambda self, fd=-1: None)
    monkeypatch.setattr(Identifying, "tick", lambda self, now: None)
    followed = Following(Settings(), "n1", Policies(), lambda kind, content: None, print)
    followed.registry.seen(Seen(7, 7, f"/{in_pod()}"))
    yield followed
    followed.close()


def test_who_settles_waits_until_everybody_is_known(unanswered: Following) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        unanswered.registry.answer({"id": ID, "state": "unknowable", "reason": "no", "source": "cri"})

    unanswered.settle(turn, 600)
    assert turns == [1]


def test_who_settles_waits_no_longer_than_he_may(unanswered: Following) -> None:
    unanswered.settle(lambda: None, 0.2, 0.2)
    assert unanswered._pending()


def test_who_settles_waits_longer_for_the_first_word(unanswered: Following) -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        if len(turns) == 3:
            unanswered.identifying.health = {"cri": {"state": "fresh"}}

    unanswered.settle(turn, 0.15, 600)
    assert len(turns) >= 3 and unanswered._pending()


def test_where_nobody_is_asked_nobody_is_waited_for(unanswered: Following) -> None:
    unanswered.change(replace(Settings(), identity=UNASKED))
    unanswered.settle(lambda: pytest.fail("waited"), 600)


def test_policies_that_come_while_one_settles_wait(
    unanswered: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[object] = []
    monkeypatch.setattr(unanswered._policing, "take_objects", taken.append)
    unanswered.settle(lambda: unanswered._take_policies({"set": ["p"]}), 0.2, 0.0)
    assert taken == []
    unanswered.tick(0.0)
    unanswered.tick(1.0)
    assert taken == [["p"]]


def test_who_is_gone_and_was_started_once_more_is_not_told_as_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[object] = []
    monkeypatch.setattr(Identifying, "is_running", True)
    monkeypatch.setattr(Identifying, "want", lambda self: None)
    monkeypatch.setattr(Identifying, "say", lambda self, message: said.append(next(iter(message))))
    followed = Following(Settings(), "n1", Policies(), lambda kind, content: None, print)
    registry, path = followed.registry, f"/{in_pod()}"
    registry.seen(Seen(7, 7, path))
    registry.change(CgroupChange(HEAD, 7, 7, True, path.encode()))
    registry.seen(Seen(8, 8, path))
    followed._ask()
    assert said == ["container", "container"]
    followed.close()


@kernel
@root
def test_when_the_child_is_killed_its_successor_is_asked(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path, "late") as agent:
        tree.make(in_pod())
        assert agent.until(lambda: agent.following.identifying.is_running)
        os.kill(agent.following.identifying.state()["pid"], signal.SIGKILL)
        assert agent.until(lambda: agent.updates(ID))
        assert agent.following.identifying.starts == 2


@kernel
@root
def test_a_container_that_was_gone_before_the_answer_is_told_of_all_the_same(
    tmp_path: Path, tree: Cgroups
) -> None:
    with running(tmp_path, "late") as agent:
        made = tree.make(in_pod())
        tree.run(made, ["true"]).wait()
        remove(made)
        assert agent.until(lambda: agent.updates(ID))
        assert agent.updates(ID)[0]["state"] == "known"


@kernel
@root
def test_containers_that_were_there_before_are_known(tmp_path: Path, tree: Cgroups) -> None:
    made = tree.make(in_pod())
    child = tree.run(made, ["sh", "-c", "echo; read go"])
    assert child.stdout is not None and child.stdout.readline()
    with running(tmp_path) as agent:
        assert agent.until(lambda: agent.updates(ID))
        assert agent.execs(ID)[0]["tracehound"]["container"]["state"] == "pending"


@root
def test_a_hundred_short_containers_have_their_pods_when_answers_are_a_second_late(
    tmp_path: Path, tree: Cgroups
) -> None:
    ids = [f"{number:04x}".ljust(64, "a") for number in range(100)]
    with running(tmp_path, "late") as agent:
        for number, id_ in enumerate(ids):
            made = tree.make(in_pod(id_, f"{number:08x}-2222-3333-4444-555555555555"))
            tree.run(made, ["true"]).wait()
            remove(made)
            agent.turn()
        assert agent.until(lambda: set(ids) <= {update["id"] for update in agent.all_updates()})
    joining = Joining(2)
    source = JoinedSource(Source(tmp_path / "log", Cursor("", 0, 0), print), joining)
    found = {}
    for line in (line for piece in source.chunks() if isinstance(piece, Chunk) for line in piece.lines):
        process = orjson.loads(joining.join_line(line)).get("process_exec", {}).get("process", {})
        if process.get("docker") in {id_[:31] for id_ in ids}:  # others make containers, too
            found[process["docker"]] = process.get("pod", {}).get("name")
    assert found == {id_[:31]: f"pod-{id_}" for id_ in ids}


@kernel
@root
@has_runc
def test_what_is_executed_in_a_container_from_outside_is_marked(tmp_path: Path, runc: Runc) -> None:
    with running(tmp_path) as agent:
        runc.run(ID, ["/bin/sh", "-c", "sleep 300 & sleep 300"], f"{runc.top}/{in_pod()}")
        assert agent.until(lambda: len(agent.execs(ID)) >= 3, 120)
        assert agent.until(lambda: agent.updates(ID))
        assert runc.execute(ID, ["/bin/sh", "-c", "true; cat /dev/null; sleep 0"]) == 0
        assert agent.until(lambda: len(agent.execs(ID)) >= 6, 120)
        told = {}
        for one in agent.execs(ID):
            process, own = one["process_exec"]["process"], one["tracehound"]
            told[process.get("arguments", "")] = own.get("injected", False), process["in_init_tree"]
        assert told["300"] == (False, True)
        assert told["/dev/null"] == told["0"] == (True, False)
        assert pod_names(agent, ID)[-1] == f"pod-{ID}"


@kernel
@root
@has_runc
def test_in_the_hosts_pid_namespace_nothing_is_marked_by_mistake(tmp_path: Path, runc: Runc) -> None:
    with running(tmp_path) as agent:
        cgroup = f"{runc.top}/{in_pod()}"
        runc.run(ID, ["/bin/sh", "-c", "true; sleep 300"], cgroup, pid_namespace=False)
        assert agent.until(lambda: len(agent.execs(ID)) >= 2, 120)
        assert not any(one["tracehound"].get("injected") for one in agent.execs(ID))
        assert runc.execute(ID, ["/bin/cat", "/dev/null"]) == 0
        assert agent.until(lambda: any(one["tracehound"].get("injected") for one in agent.execs(ID)), 60)


@kernel
@root
def test_a_runtimes_hook_is_told_when_policies_can_hold(tmp_path: Path, tree: Cgroups) -> None:
    with running(tmp_path, "hangs") as agent:
        path = tree.path(tree.make(f"odd-name/{in_pod()}"))
        pod = {"pod_name": "web-1", "pod_namespace": "shop", "pod_uid": UID}
        agent.following.runtime_hook({"id": ID, "cgroup": path, **pod})
        home = agent.following.registry.by_id[ID]
        assert (home.pod["name"], home.cgroup_id) == ("web-1", (tree.root / path[1:]).stat().st_ino)
        with pytest.raises(TracehoundError):
            agent.following.runtime_hook({"id": "", "cgroup": path})


STARTING = {
    "number": 7,
    "container": {"id": ID, "pod_uid": UID, "cgroup": f"/{in_pod()}"},
    "answer": {
        "id": ID,
        "state": "known",
        "source": "nri",
        "container": {"id": ID, "name": "main"},
        "pod": {"namespace": "shop", "name": "web-1", "uid": UID, "pod_labels": {"app": "web"}},
    },
}
"""What the child says of a container that a runtime holds."""


@pytest.mark.parametrize("was_seen", [True, False])
def test_a_runtime_that_waits_is_answered_when_policies_know_the_container(
    unanswered: Following, monkeypatch: pytest.MonkeyPatch, was_seen: bool
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(Identifying, "say", lambda self, message: said.append(message))
    known = lambda homes: said.extend(home.pod.get("pod_labels") for home in homes)  # noqa: E731
    monkeypatch.setattr(unanswered._policing, "containers_changed", known)
    if not was_seen:
        unanswered.registry.by_id.clear()
    unanswered._take_starting(STARTING)
    problem = "" if was_seen else "its cgroup is not known"
    assert said == [{"app": "web"}, {"held": {"number": 7, "error": problem}}]


def test_a_container_that_cannot_be_taken_does_not_keep_the_runtime_waiting(
    unanswered: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    monkeypatch.setattr(Identifying, "say", lambda self, message: said.append(message))
    unanswered._take_starting({"number": 1, "container": {"id": ""}})
    unanswered._take_starting({"number": 2})
    problems = [(one["held"]["number"], one["held"]["error"]) for one in said]
    assert problems == [(1, "the container has no id"), (2, "")]


def test_the_child_is_wanted_where_a_runtime_would_hold_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[bool] = []
    monkeypatch.setattr(Identifying, "want", lambda self: wanted.append(True))
    settings = replace(Settings(), identity=IdentitySettings(nri=str(tmp_path / "nri.sock")))
    followed = Following(settings, "n1", Policies(), lambda kind, content: None, print)
    followed.tick(1.0)
    assert not wanted
    (tmp_path / "nri.sock").touch()
    followed.tick(2.0)
    assert wanted
    followed.close()


@pytest.mark.parametrize(
    ("settings", "environment", "found"),
    [
        (IdentitySettings(), {}, False),
        (IdentitySettings(), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True),
        (IdentitySettings(kubernetes=False), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, False),
        (IdentitySettings(kubeconfig="/k"), {}, True),
        (replace(IdentitySettings(), kubernetes=True), {}, True),
    ],
)
def test_the_child_is_needed_at_once_where_there_is_an_api_server(
    settings: IdentitySettings, environment: dict[str, str], found: bool
) -> None:
    assert in_cluster(settings, environment) is found
