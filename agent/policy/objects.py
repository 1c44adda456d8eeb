# SPDX-License-Identifier: Apache-2.0
"""Policies that are objects of Kubernetes: the set that `agent.identity` sends is made to run here. What runs
already stays until its successor does; the last known set is kept on disk for a start without API server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from agent.aside import Aside, at_once
from agent.errors import TracehoundError
from agent.policy.desk import Desk
from agent.policy.labels import fits
from agent.policy.model import Policy, Problem
from agent.policy.parse import parse_policies
from agent.policy.status import PolicyStatus, State

DOMAIN = "kubernetes"
COUNTS = (
    "posted",
    "signalled",
    "overridden",
    "notified",
    "monitored_signal",
    "monitored_override",
    "suppressed",
)
"""What of the selectors' counts is told on the object."""
ERRORS = 10
"""Mistakes of a text that are told; the author is not at this node."""
_NO_LABELS = "this node's labels are not known yet: its nodeSelector waits for them"


class Object(NamedTuple):
    """One object, as the child sent it (agent/identity/policies.py)."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int
    yaml: str

    @property
    def key(self) -> str:
        """As Policy.key."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(slots=True)
class _Entry:
    """What became of an object."""

    thing: Object
    policy: Policy | None = None
    """None: its text is refused."""
    error: str = ""
    is_applied: bool = False
    """Whether a policy of this key in the list is ours."""
    is_for_us: bool = False
    """Whether nodeSelector took this node when it was looked at last."""


class Objects:
    """All policies of the domain `kubernetes`."""

    def __init__(
        self,
        desk: Callable[[], Desk],
        state_file: Path | None,
        notice: Callable[[str], None],
        aside: Aside = at_once,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """`desk` opens the desk when the first policy is there; `aside` reads texts, which others wrote and
        which may be long; `labels`: the node's, where they are known already."""
        self._open, self._file, self._notice, self._aside = desk, state_file, notice, aside
        self._entries: dict[str, _Entry] = {}
        self._labels = None if labels is None else dict(labels)
        self._saved = b""

    def start(self) -> None:
        """Makes the last known set run."""
        try:
            found = orjson.loads(self._file.read_bytes()) if self._file else {}
            things, labels = _read(found.get("set")), found.get("labels")
            left = len(found.get("set", ())) - len(things)
        except FileNotFoundError:
            return
        except (OSError, ValueError, AttributeError, TypeError) as error:
            self._notice(f"{self._file}: the last known policies of Kubernetes cannot be read: {error}")
            return
        if left:
            self._notice(f"{self._file}: {left} of the last known policies of Kubernetes cannot be read")
        if self._labels is None and isinstance(labels, dict):
            self._labels = dict(labels)
        self._apply(things)

    def take(self, things: object) -> None:
        """The whole set of now; what is not in it is deleted."""
        self._apply(_read(things))
        self._save()

    def relabel(self, labels: Mapping[str, str]) -> None:
        """The node's labels of now: policies come and go with them."""
        if labels != self._labels:
            self._labels = dict(labels)
            self._apply([entry.thing for entry in self._entries.values()])
            self._save()

    def status(self) -> dict[str, Any]:
        """The message `status` for the child."""
        if not self._entries:
            return {"policies": []}
        try:
            now = {_key(one): one for one in self._open().statuses()}
        except TracehoundError:  # no policy at all can run here, which each entry says
            now = {}
        return {"policies": [_told(entry, now.get(key)) for key, entry in self._entries.items()]}

    def _apply(self, things: Iterable[Object]) -> None:
        try:
            self._make(things)
        except TracehoundError as error:
            self._notice(f"policies of Kubernetes: {error.message}")
            for entry in self._entries.values():
                entry.error = entry.error or error.message

    def _make(self, things: Iterable[Object]) -> None:
        wanted = {thing.key: thing for thing in things}
        for key in [key for key in self._entries if key not in wanted]:
            self._delete(self._entries.pop(key))
        coming: list[_Entry] = []
        for key, thing in wanted.items():
            entry = self._entries.get(key)
            if entry is None or entry.thing != thing:
                entry = self._entries[key] = self._changed(thing, entry)
                coming += self._sorted(entry, is_news=True)
            elif entry.policy and (entry.policy.node or not entry.is_applied):
                coming += self._sorted(entry, is_news=not entry.is_applied)
        if coming:
            self._load(coming)

    def _changed(self, thing: Object, before: _Entry | None) -> _Entry:
        """An entry for a new text. When it is refused, what ran goes on."""
        policies, problems = self._aside(parse_policies, thing.yaml, DOMAIN)
        entry = _Entry(thing, is_applied=bool(before and before.is_applied))
        errors = [_located(problem) for problem in problems if problem.is_error]
        if len(errors) > ERRORS:
            errors[ERRORS:] = [f"{len(errors) - ERRORS} more"]
        if errors or len(policies) != 1 or policies[0].key != thing.key:
            why = thing.yaml.removeprefix("# ") if thing.yaml.startswith("# ") else ""
            entry.error = why or "; ".join(errors) or f"holds no policy {thing.key}"
            self._open().refuse(thing.key, DOMAIN, entry.error)
        else:
            entry.policy = policies[0]
        return entry

    def _sorted(self, entry: _Entry, *, is_news: bool) -> list[_Entry]:
        """The entry, if it has to be loaded now; one that is not for this node is listed as skipped."""
        if entry.policy is None:
            return []
        selector, was = entry.policy.node, entry.is_for_us
        entry.is_for_us = selector is None or (self._labels is not None and fits(selector, self._labels))
        entry.error = _NO_LABELS if selector and self._labels is None else ""
        if entry.is_for_us:
            return [entry] if is_news or not was or not entry.is_applied else []
        if (was or is_news) and not self._is_anothers(entry):
            self._open().skip(entry.policy, DOMAIN)
            entry.is_applied = True
        return []

    def _load(self, entries: list[_Entry]) -> None:
        free = [entry for entry in entries if not self._is_anothers(entry)]
        errors = self._open().put([entry.policy for entry in free if entry.policy], DOMAIN)
        for entry in free:
            entry.error = errors.get(entry.thing.key, "")
            entry.is_applied = True

    def _is_anothers(self, entry: _Entry) -> bool:
        """Whether the node has a policy of this name that is no object."""
        if entry.is_applied or not self._open().knows(entry.thing.key):
            return False
        entry.error = "this node has a policy of this name already, by a file or the API: rename one of them"
        return True

    def _delete(self, entry: _Entry) -> None:
        if entry.is_applied and self._open().knows(entry.thing.key):
            try:
                self._open().delete(entry.thing.key, DOMAIN)
            except TracehoundError as error:
                self._notice(f"policy {entry.thing.key} cannot be deleted: {error.message}")

    def _save(self) -> None:
        """Atomically; mode 0600, for a policy says what is not watched."""
        if self._file is None:
            return
        content = {"labels": self._labels, "set": [entry.thing._asdict() for entry in self._entries.values()]}
        data = orjson.dumps(content)
        if data == self._saved:
            return
        new = self._file.with_name(f"{self._file.name}.new")
        try:
            self._file.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
            self._saved = data
        except OSError as error:
            self._notice(
                f"{self._file}: policies of Kubernetes are not kept for the next start: {error.strerror}"
            )


def _read(things: object) -> list[Object]:
    """Objects of a message or file; what has another form is left out."""
    found = []
    for thing in things if isinstance(things, list) else ():
        try:
            found.append(Object(**{name: thing[name] for name in Object._fields}))
        except (TypeError, KeyError):
            continue
    return found


def _located(problem: Problem) -> str:
    """By its path: the object has no lines."""
    return f"{problem.where.path}: {problem.text}" if problem.where.path else problem.text


def _told(entry: _Entry, now: PolicyStatus | None) -> dict[str, Any]:
    thing = entry.thing
    told: dict[str, Any] = {"kind": thing.kind, "namespace": thing.namespace, "name": thing.name}
    told |= {"generation": thing.generation, "state": str(State.LOAD_ERROR), "error": entry.error}
    if now is None or not entry.is_applied:
        return told
    error = entry.error or now.error or ", ".join(f"{name} does not exist here" for name in now.missing)
    is_refused = bool(entry.error) and now.state not in (State.SKIPPED, State.LOAD_ERROR)
    counts: dict[str, int] = {}
    for selector in (one for hook in now.hooks for one in hook.selectors):
        for name in COUNTS:
            counts[name] = counts.get(name, 0) + selector.counts.get(name, 0)
    return told | {
        "state": str(State.LOAD_ERROR if is_refused else now.state),
        "mode": now.mode,
        "error": f"{error} (the version before runs on)" if is_refused else error,
        "hooks": list(dict.fromkeys(f"{hook.attach} {hook.target}" for hook in now.hooks)),
        "counts": {name: n for name, n in counts.items() if n},
    }


def _key(status: PolicyStatus) -> str:
    return f"{status.namespace}/{status.name}" if status.namespace else status.name
