# SPDX-License-Identifier: Apache-2.0
"""What the control socket asks about the agent besides its state: settings, processes, the node's labels, a
container that is about to start. Answers are short and come from memory: the loop waits for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from agent import __version__

if TYPE_CHECKING:
    from agent.daemon import Daemon

RuntimeHook = Callable[[Mapping[str, Any]], None]
"""Gets a container that is about to start (docs/containers.md) and returns when policies hold for it; raises
TracehoundError when it cannot be taken. Called in the loop's thread."""

MOST_PROCESSES = 1000
"""Processes in one answer."""


def tell(daemon: Daemon, question: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer; None for a question that is not of this kind. Raises TracehoundError."""
    kind = str(question.get("request"))
    answer = _ANSWERS.get(kind)
    return answer(daemon, question) if answer else None


def _info(daemon: Daemon, _question: Mapping[str, Any]) -> dict[str, Any]:
    probes = [
        {"name": f"{entry.choice.program}:{entry.choice.kind}", "enabled": entry.attached}
        for entry in daemon.sensor.programs.values()
        if entry.choice.kind != "iter"  # runs now and then, and is not attached
    ]
    return {"version": __version__, "probes": probes, "settings": dict(flat(daemon.settings))}


def flat(settings: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All settings by dotted name."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            yield from flat(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value


def _processes(daemon: Daemon, question: Mapping[str, Any]) -> dict[str, Any]:
    """A page of the living ones, in their order; between two pages some may have gone or come."""
    offset, limit = int(question.get("offset", 0)), int(question.get("limit", MOST_PROCESSES))
    limit = max(1, min(limit, MOST_PROCESSES))
    living = daemon.tree.living
    page = islice(living.values(), offset, offset + limit)
    told = [orjson.Fragment(daemon.encoder.fragment(process)) for process in page]
    return {"processes": told, "more": len(living) > offset + limit}


def _node(daemon: Daemon, _question: Mapping[str, Any]) -> dict[str, Any]:
    return {"labels": dict(daemon.policing.node_labels)}


def _runtime_hook(daemon: Daemon, question: Mapping[str, Any]) -> dict[str, Any]:
    hook = daemon.runtime_hook
    if hook is None:
        return {"error": "this agent does not follow containers", "code": "refused"}
    hook(question.get("container") or {})
    return {"ok": True}


_ANSWERS: dict[str, Callable[[Daemon, Mapping[str, Any]], dict[str, Any]]] = {
    "info": _info,
    "node": _node,
    "processes": _processes,
    "runtime_hook": _runtime_hook,
}
