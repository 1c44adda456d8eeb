# SPDX-License-Identifier: Apache-2.0
"""The daemon's policies. Nothing of the engine is loaded before there is a first one: an agent without
policies does not pay for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.aside import Aside, at_once
from agent.decode.header import KIND_CGROUP, KIND_EXEC, KIND_EXIT, KIND_FORK, KIND_HOOK
from agent.enrich.home import Home
from agent.errors import SettingsError, TracehoundError, UsageError
from agent.settings import PolicySettings, Settings

if TYPE_CHECKING:
    from agent.kernel.gap import Gap
    from agent.kernel.posts import Posts
    from agent.policy.book import HookBook
    from agent.policy.desk import Desk
    from agent.policy.engine import Engine
    from agent.policy.objects import Objects

PIN_DIR = "/sys/fs/bpf/tracehound"
"""Where hooks are pinned unless `kernel.pin_dir` says otherwise."""
HOOK_OF = {
    KIND_HOOK: "policy",
    KIND_EXEC: "exec",
    KIND_FORK: "fork",
    KIND_EXIT: "exit",
    KIND_CGROUP: "cgroup",
}
"""As losses name them, by kind of record."""
_WRONG = UsageError.exit_status
"""Of errors that who asked can correct."""
_COUNTS = ("enabled", "monitored", "failed", "disabled", "hooks", "protected")
_NOTHING: dict[str, Any] = {**dict.fromkeys(_COUNTS, 0), "failures": []}


class Surroundings(NamedTuple):
    """What policies need of the agent."""

    map_fd: Callable[[str], int]
    """Of the base sensor's maps."""
    connect: Callable[[HookBook], None]
    """Called with the book by which records of hooks are read, before the first policy is loaded."""
    record: Callable[[str, Mapping[str, object]], None]
    """Writes an own record."""
    notice: Callable[[str], None]
    """Takes a sentence for the person who started the agent."""
    aside: Aside = at_once
    """Reads the ring while a change is compiled and the kernel verifies it."""
    homes: Callable[[], Iterable[Home]] = tuple
    """All containers that there are."""
    posts: Posts | None = None
    """Of the base sensor."""


class Policing:
    """All that the daemon asks of its policies."""

    def __init__(
        self, around: Surroundings, pin_dir: Path | None = None, state_file: Path | None = None
    ) -> None:
        """`state_file`: the last known policies of Kubernetes; None where no agent of a cluster runs."""
        self._around = around
        self._pin_dir = pin_dir
        self._state_file = state_file
        self._objects: Objects | None = None
        self._labels: dict[str, str] | None = None
        self._desk: Desk | None = None
        self.changes = 0
        """Questions of the control socket that may have changed a policy's state."""
        self._broken = ""
        """Why no policy at all can run here."""
        self._missed: dict[tuple[str, str], int] = {}
        self._gap: Gap | None = None
        self._missed_before: dict[tuple[str, str], int] = {}
        """What pinned programs sent while no agent ran, as losses."""

    def start(self, settings: PolicySettings) -> None:
        """Loads what is configured. What fails is noticed, or with `policies.strict` raised as
        SettingsError."""
        self.look_back()
        for sentence in self._configure(settings):
            self._around.notice(sentence)
        if self._state_file and self._state_file.exists():
            self._kubernetes().start()
        for left in self._desk.drop_unclaimed() if self._desk else ():
            self._around.notice(f"{left} was left by an agent before and is no policy's now: detached")
        if self._around.posts:
            self._around.posts.drop_unclaimed()
        self._count_gap()
        failures = self.summary()["failures"]
        if settings.strict and failures:
            raise SettingsError(
                [f"{one['name']}: {one['error']}" for one in failures],
                "policies.strict is on: correct them, or switch it off to run without them",
            )

    def look_back(self) -> None:
        """To be called before the sensor takes over what an agent before has left."""
        if self._gap is None and self._pin_dir and (self._has_pins() or any(self._pin_dir.glob("base/*/*"))):
            from agent.kernel.gap import Gap

            self._gap = Gap(self._pin_dir)

    @property
    def takes_over(self) -> bool:
        """Whether programs of an agent before run on until `start`."""
        return self._gap is not None

    def reload(self, settings: PolicySettings) -> list[str]:
        """Applies what changed in files and settings; returns it, failures included."""
        before = {one["name"] for one in self.summary()["failures"]}
        said = self._configure(settings, every_change=True)
        if self._desk:
            self._desk.tune(settings)
        return [*said, *(f"{name}: runs now" for name in sorted(before) if not self._fails(name))]

    def take_objects(self, things: object) -> None:
        """All policies that are objects of Kubernetes now (docs/containers.md, message `policies`)."""
        if things or self._objects:
            self._kubernetes().take(things)

    def relabel_node(self, labels: Mapping[str, str]) -> None:
        """This node's labels (message `node`), which nodeSelector is about."""
        self._labels = dict(labels)
        if self._objects:
            self._objects.relabel(labels)

    @property
    def node_labels(self) -> Mapping[str, str]:
        """This node's labels; empty while nobody has told them."""
        return self._labels or {}

    def object_status(self) -> dict[str, Any]:
        """What became of the objects, for the message `status`."""
        return self._objects.status() if self._objects else {"policies": []}

    def containers_changed(self, homes: Iterable[Home]) -> None:
        """More is known of these containers: when it returns, policies hold for them.

        Raises KernelRefused."""
        if self._desk:
            self._desk.containers_changed(homes)

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """What the control socket asks about policies; what went wrong under `error`, with `code` for how:
        `unknown` policy, `invalid` text, `refused` here."""
        try:
            return self._answer(question)
        except TracehoundError as error:
            key = question.get("key")
            is_unknown = key is not None and not self._knows(key, str(question.get("domain", "")))
            code = "unknown" if is_unknown else "invalid" if error.exit_status == _WRONG else "refused"
            return {"error": error.message, "hint": error.hint, "code": code}

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        kind, key = question["request"], str(question.get("key", ""))
        if kind == "policies":
            return self._desk.told() if self._desk else {"policies": [], "unread": []}
        self.changes += 1
        if kind == "policy_add":
            desk = self._opened(self._settings)
            return desk.add(str(question.get("text", "")), str(question.get("mode", "")), "api")
        if self._desk is None:
            raise UsageError(f"no policy {key}", "`tracehound policy list` shows all")
        domain = str(question.get("domain", ""))
        if domain and not self._desk.knows(key, domain):
            raise UsageError(
                f"no policy {key} in the domain {domain}", "`tetra tracingpolicy list` shows all"
            )
        if kind == "policy_delete":
            return self._desk.delete(key, "api")
        return self._desk.set(key, "api", enable=question.get("enable"), mode=str(question.get("mode", "")))

    def tick(self) -> None:
        """Once a second."""
        if self._desk:
            for sentence in self._desk.tick():
                self._around.notice(sentence)

    def watch(self) -> list[dict[str, Any]]:
        """With each heartbeat: hooks and whether they are attached; what changed is written and noticed."""
        if not self._desk:
            return []
        for key, again in self._desk.watch():
            name = f"{key.attach} {key.target}"
            content = {"program": name, "attached": again, "by": "a look at the policies' links"}
            self._around.record("attachment", content)
            self._around.notice(f"{name} was found detached; attached again: {again}")
        return [
            {"name": f"{key.attach} {key.target}", "attached": is_attached}
            for key, is_attached in self._desk.attached().items()
        ]

    def missed(self) -> dict[tuple[str, str], int]:
        """Calls that hooks did not judge since start, by (cause, hook)."""
        if self._desk:
            self._missed = self._desk.missed()
        return {**self._missed, **self._missed_before}

    def summary(self) -> dict[str, Any]:
        """For the agent's status."""
        if self._broken:
            return {**_NOTHING, "failed": 1, "failures": [{"name": "policies", "error": self._broken}]}
        return self._desk.summary() if self._desk else _NOTHING

    def close(self) -> None:
        """Detaches what is not pinned; records that were sent can still be read."""
        self.missed()
        if self._desk:
            self._desk.close()
            self._desk = None

    def pinned(self) -> list[str]:
        """Hooks that go on without the agent, as `kind target`."""
        if not self._has_pins() or self._pin_dir is None:
            return []
        from agent.kernel.hookpins import pinned

        return [f"{kind} {target}".rstrip() for kind, target, _place in pinned(self._pin_dir)]

    _settings = PolicySettings()

    def _configure(self, settings: PolicySettings, *, every_change: bool = False) -> list[str]:
        from agent.policy.reasons import grouped
        from agent.policy.sources import configured_files, read_configured

        self._settings = settings
        if not self._desk and not configured_files(settings) and not self._has_pins():
            return []
        try:
            desk = self._opened(settings)
        except TracehoundError as error:
            return [f"policies: {error.message}"]
        said = desk.configure(self._around.aside(read_configured, settings))
        return said if every_change else grouped((one.name, one.error) for one in desk.failures())

    def _opened(self, settings: PolicySettings) -> Desk:
        """The desk, made when it is first asked for."""
        if self._desk is None:
            try:
                engine = self._around.aside(self._engine, settings)
            except TracehoundError as error:
                self._broken = error.message
                raise
            from agent.policy.desk import Desk

            self._broken = ""
            self._around.connect(engine.book)
            self._desk = Desk(engine, self._around.record, self._around.aside)
            self._desk.tune(settings)
        return self._desk

    def _engine(self, settings: PolicySettings) -> Engine:
        """Its modules alone take a tenth of a second to read."""
        from agent.kernel.sharedmaps import FROM_SENSOR
        from agent.policy.engine import Engine

        maps = {name: self._around.map_fd(name) for name in FROM_SENSOR}
        return Engine(maps, self._pin_dir, settings.kill_budget, self._around.homes, posts=self._around.posts)

    def _kubernetes(self) -> Objects:
        if self._objects is None:
            from agent.policy.objects import Objects

            desk = lambda: self._opened(self._settings)  # noqa: E731  # opened when the first policy comes
            around = self._around
            self._objects = Objects(desk, self._state_file, around.notice, around.aside, self._labels)
        return self._objects

    def _count_gap(self) -> None:
        if self._gap:
            found = self._gap.count(HOOK_OF)
            self._missed_before = {("agent_down", hook): count for hook, count in found.items()}
            self._gap = None

    def _has_pins(self) -> bool:
        """Whether an agent before us left hooks that run now."""
        return self._pin_dir is not None and any(self._pin_dir.glob("hooks/*/*"))

    def _knows(self, key: str, domain: str = "") -> bool:
        return self._desk is not None and self._desk.knows(key, domain)

    def _fails(self, name: str) -> bool:
        return any(one["name"] == name for one in self.summary()["failures"])


def pin_dir_of(settings: Settings) -> Path | None:
    """Where policies are pinned; None: they end with the agent. By default a service pins, if it can."""
    wanted = settings.policies.persist
    if not (is_service() if wanted is None else wanted):
        return None
    place = Path(settings.kernel.pin_dir or PIN_DIR)
    return place if wanted or _is_bpffs(place) else None


def state_file_of(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the last known policies of Kubernetes are kept; None where this agent belongs to no cluster."""
    wanted = settings.identity
    in_cluster = bool(wanted.kubernetes or wanted.kubeconfig or environ.get("KUBERNETES_SERVICE_HOST"))
    is_on = in_cluster and wanted.kubernetes is not False and wanted.policies
    return Path(wanted.state_file) if is_on else None


def is_service(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is what systemd started as a service (systemd.exec(5): SYSTEMD_EXEC_PID is its
    pid), or the first of a container."""
    return environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()) or os.getpid() == 1


def _is_bpffs(place: Path) -> bool:
    from agent.kernel.pins import require_bpffs

    try:
        require_bpffs(place)
    except (TracehoundError, OSError):
        return False
    return True
