# SPDX-License-Identifier: Apache-2.0
"""Follows containers: what the kernel tells of cgroups goes into the registry, questions go to the child,
answers come back, and what has become known goes into the log and to the policies.

In the agent's loop; nothing here waits. `step` is called after every turn of the loop.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from agent.enrich.home import PENDING, Home
from agent.enrich.process import Process
from agent.enrich.registry import Registry, Seen
from agent.errors import KernelRefused, TracehoundError
from agent.identifying import Identifying
from agent.identity.options import nri_socket, options_for
from agent.identity.text import clean
from agent.kernel.containers import ContainerCgroups
from agent.remembered import Remembered
from agent.settings import IdentitySettings, Settings

SETTLE_S = 5.0
"""How long policies of an agent before go on alone while it is asked who the containers are, in seconds;
from the first word of the child on, which takes its time to come up on a busy node."""
FIRST_WORD_S = 20.0
"""How long its first word is waited for, in seconds."""
STATUS_S = 60.0
"""How often the child is told what became of policies, in seconds, besides after each change."""
_TURN_S = 0.1
NOBODY = "nobody is asked: identity.kubernetes and identity.runtimes are off"
SILENT = "nobody told of it in {:g} s (containers.patience_seconds)"


class Policing(Protocol):
    """What is asked of agent.policing.Policing."""

    @property
    def changes(self) -> int:
        """Grows with each change from outside of Kubernetes."""

    def take_objects(self, things: object) -> None:
        """The policies of Kubernetes."""

    def relabel_node(self, labels: Mapping[str, str]) -> None:
        """The node's labels."""

    def object_status(self) -> dict[str, Any]:
        """What became of the policies."""

    def containers_changed(self, homes: Iterable[Home]) -> None:
        """More is known of these."""


class Following:
    """Containers of this agent."""

    def __init__(
        self,
        settings: Settings,
        node: str,
        policing: Policing,
        record: Callable[[str, Mapping[str, object]], None],
        notice: Callable[[str], None],
        command: tuple[str, ...] = ("-m", "agent.identity"),
        remembered: Remembered | None = None,
    ) -> None:
        """`record` writes an own record; `command`: what Python runs to look containers up; `remembered`:
        what the agent before knew of them."""
        self.registry = Registry(time.monotonic)
        self.living: Callable[[], Iterable[Process]] = tuple
        """All living images; set by the daemon."""
        self._settings, self._policing, self._record, self._notice = settings, policing, record, notice
        self._in_cluster = in_cluster(settings.identity)
        self._remembered = remembered or Remembered(None, "", notice)
        self._cgroups: ContainerCgroups | None = None
        self._status_at = 0.0
        self._changes = 0
        """Of the policies, when their status was said."""
        self._is_settling = False
        self._later: Mapping[str, Any] | None = None
        """Policies that came before their time."""
        takers = {
            "answer": self.registry.answer,
            "starting": self._take_starting,
            "pod": self._take_pod,
            "policies": self._take_policies,
            "node": lambda told: self._policing.relabel_node(told["labels"]),
        }
        options = lambda: options_for(  # noqa: E731  (made anew at each start)
            self._settings.identity, node, self._settings.containers.annotations
        )
        self.identifying = Identifying(options, takers, self.registry.ask_again, notice, command)

    @property
    def is_asking(self) -> bool:
        """Whether anybody may be asked."""
        identity = self._settings.identity
        return self._in_cluster or identity.runtimes or bool(nri_socket(identity))

    def open(self, map_fd: int) -> None:
        """`map_fd`: of container_cgroups. Finds the containers that are there: the kernel has to know them
        before processes are asked for. Programs have to be attached."""
        self._cgroups = cgroups = ContainerCgroups(map_fd)
        self.registry.is_there = lambda home: cgroups.id_of(home.cgroup) == home.cgroup_id
        for number, path in sorted(cgroups.existing(), key=_by_trust):
            self._meet(cgroups, number, path)
        self._put_unnamed()
        if self.is_asking:
            self._remembered.recall(self.registry)
        if self._in_cluster or self._is_held():
            self.identifying.want()

    def _is_held(self) -> bool:
        """Whether there is a runtime that would hold containers for us: then the child is needed before the
        first one."""
        path = nri_socket(self._settings.identity)
        return bool(path) and os.path.exists(path)  # noqa: PTH110  (Path.exists raises where it may not look)

    def _meet(self, cgroups: ContainerCgroups, number: int, path: str) -> None:
        """A cgroup that was there; parents come first."""
        registry = self.registry
        above = registry.by_path.get(path.rpartition("/")[0])
        registry.seen(Seen(number, above.cgroup_id if above else 0, path))
        home = registry.by_cgroup.get(number)
        if home is not None:
            cgroups.put(number, home.cgroup_id)

    def filenos(self) -> list[int]:
        """For the loop."""
        return self.identifying.filenos()

    def handle(self, fd: int = -1) -> None:
        """The child said something."""
        self.identifying.handle(fd)
        self.step()

    def step(self) -> None:
        """Carries out what has come up since the last turn."""
        registry = self.registry
        if registry.unnamed:
            self._put_unnamed()
        if registry.asking or registry.gone:
            self._ask()
        if registry.news:
            self._tell()

    def settle(
        self, turn: Callable[[], object], seconds: float = SETTLE_S, first_word_s: float = FIRST_WORD_S
    ) -> None:
        """Waits until it is known, or was tried for so long, who the containers are that are there: policies
        of an agent before go on meanwhile, and would not hold for the unknown afterwards. `turn` is called
        now and then. What comes of policies waits for the first `tick`."""
        end = time.monotonic() + seconds
        latest = end + first_word_s
        self._is_settling = True
        self.step()
        while self.is_asking and self._pending() and (now := time.monotonic()) < end:
            if not self.identifying.health:
                end = min(now + seconds, latest)
            select.select(self.filenos(), [], [], _TURN_S)
            self.identifying.tick(time.monotonic())
            self.handle()
            turn()
        self._is_settling = False

    def _pending(self) -> bool:
        return any(home.state == PENDING and not home.gone_s for home in self.registry.by_id.values())

    def tick(self, now: float) -> None:
        """Once a second; `now` is monotonic seconds."""
        later, self._later = self._later, None
        if later is not None:
            self._take_policies(later)
        settings = self._settings.containers
        if not self.identifying.is_running and self._is_held():
            self.identifying.want()
        self.identifying.tick(now)
        self.handle()  # what was told while policies were loaded: it comes before our patience ends
        why = SILENT.format(settings.patience_seconds) if self.is_asking else NOBODY
        self.registry.expire(settings.patience_seconds if self.is_asking else 0.0, why)
        is_due = now >= self._status_at or self._policing.changes != self._changes
        if is_due and self.identifying.is_running:
            self._say_status(now)
        self.step()
        self._remembered.save(self.registry, now)

    def change(self, settings: Settings) -> None:
        """Settings that change while it runs."""
        self._settings = settings

    def runtime_hook(self, told: Mapping[str, Any]) -> None:
        """A container that is about to start (agent.telling): when this returns, policies hold for its
        cgroup as far as its pod is known; `answer`: what the child knows of it. Raises TracehoundError."""
        cgroup, id_ = str(told.get("cgroup", "")), clean(told.get("id"))
        number = self._cgroups.id_of(cgroup) if self._cgroups else 0
        if not id_:
            raise TracehoundError("the container has no id", "the runtime has to name it")
        home = self.registry.expect(id_, cgroup, number, clean(told.get("pod_uid")))
        if told.get("answer"):
            self.registry.answer(told["answer"])
        if told.get("pod_name") and not home.pod:
            home.take_pod({key: clean(told.get(f"pod_{key}")) for key in ("namespace", "name", "uid")})
            self.registry.news[home.ref.id] = home
        if number and self._cgroups:
            self._cgroups.put(number, number)
        self.step()

    def problems(self) -> Iterator[str]:
        """For health."""
        yield from self.identifying.problems()
        if self._cgroups and self._cgroups.full:
            yield f"containers: {self._cgroups.full} cgroups found no room in the kernel's map"

    def state(self) -> dict[str, Any]:
        """For the agent's status."""
        states: dict[str, int] = {}
        for home in self.registry.by_id.values():
            states[home.state] = states.get(home.state, 0) + 1
        return {"containers": states, "identity": self.identifying.state()}

    def close(self) -> None:
        """Ends the child."""
        self._remembered.save(self.registry, float("inf"))
        self.identifying.close()

    def _put_unnamed(self) -> None:
        unnamed, self.registry.unnamed = self.registry.unnamed, []
        for home in unnamed if self._cgroups else ():
            for number in self._cgroups.put_below(home.cgroup, home.cgroup_id) if self._cgroups else ():
                if self.registry.by_cgroup.setdefault(number, home) is home:
                    home.nested.add(number)

    def _ask(self) -> None:
        """Questions, and who is gone. Without a child they wait for one."""
        registry = self.registry
        if not self.is_asking:
            registry.asking, registry.gone = [], []
            return
        self.identifying.want()
        if not self.identifying.is_running:
            return
        asking, registry.asking = registry.asking, []
        for home in asking:
            self.identifying.say({"container": home.question()})
        gone, registry.gone = registry.gone, []
        for home in gone:
            if registry.by_id.get(home.ref.id, home) is home:  # not one that was started once more
                self.identifying.say({"gone": home.ref.id})

    def _tell(self) -> None:
        """Policies first: they are waited for."""
        registry = self.registry
        registry.retell(self.living())
        news, registry.news = registry.news, {}
        self._remembered.changed()
        try:
            self._policing.containers_changed(news.values())
        except KernelRefused as error:
            self._notice(f"containers: policies do not know of all of them: {error.message}")
        for home in news.values():
            content = home.update()
            if (home.state != PENDING or home.pod) and home.recorded != content:
                home.recorded = content
                self._record("container_update", content)

    def _take_starting(self, told: Mapping[str, Any]) -> None:
        """Of a runtime that waits for it (NRI); without a container it is asked whether we are here."""
        error, container = "", told.get("container")
        try:
            if container:
                self.runtime_hook({**container, "answer": told.get("answer")})
            if container and not self.registry.by_id[container["id"]].cgroup_id:
                error = "its cgroup is not known"
        except TracehoundError as failed:
            error = failed.message
        self.identifying.say({"held": {"number": told["number"], "error": error}})

    def _take_pod(self, told: Mapping[str, Any]) -> None:
        self.registry.pod(told)
        if told.get("deleted"):
            self._record("pod_deleted", {name: told.get(name, "") for name in ("namespace", "name", "uid")})

    def _take_policies(self, told: Mapping[str, Any]) -> None:
        if self._is_settling:
            self._later = told
            return
        self._policing.take_objects(told["set"])
        self._say_status(time.monotonic())

    def _say_status(self, now: float) -> None:
        self._status_at = now + STATUS_S
        self._changes = self._policing.changes
        status = self._policing.object_status()
        if status["policies"]:
            self.identifying.say({"status": status})


def _by_trust(found: tuple[int, str]) -> tuple[bool, int]:
    """Of two cgroups with one container's name the first is believed: not what users made, nor what was made
    inside of another one. Parents come first."""
    path = found[1]
    return path.startswith("/user.slice/"), path.count("/")


def in_cluster(settings: IdentitySettings, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is an API server to ask: then the child is needed before there is a container."""
    found = settings.kubernetes or settings.kubeconfig or environ.get("KUBERNETES_SERVICE_HOST")
    return bool(found) and settings.kubernetes is not False
