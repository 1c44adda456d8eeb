# SPDX-License-Identifier: Apache-2.0
"""What a reader has seen of processes: names for the breadcrumbs of their descendants. Bounded."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from agent.cli.text import base_name

Value = TypeVar("Value")

GENERATION = 2048
"""Entries per generation; two are kept. One takes about 300 bytes, and the agent's memory counts."""
LONGEST_CHAIN = 64
"""Generations looked up one by one where the log has no ancestry."""
SEPARATOR = " › "
UNKNOWN = "…"
NEAREST, FARTHEST = 5, 2
"""How many ancestors a breadcrumb shows next to the process and next to its root."""


class Recent(Generic[Value]):
    """A mapping that forgets what was not used for a while: two generations, the older one is dropped."""

    def __init__(self, size: int = GENERATION) -> None:
        self._size = size
        self._young: dict[str, Value] = {}
        self._old: dict[str, Value] = {}

    def put(self, key: str, value: Value) -> None:
        """Keep `value`, at least for the next `size` entries."""
        self._young[key] = value
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}

    def get(self, key: str) -> Value | None:
        """The value, which is then as good as new; None when it was never seen or is forgotten."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value


class Known(NamedTuple):
    """What is remembered of one process."""

    name: str
    """Last part of its binary, cleaned."""
    user: str
    """As recorded at its exec; empty when that was not seen."""
    parent_id: str


class Seen:
    """Names of processes by exec_id, and breadcrumbs made of them."""

    def __init__(self, resolve: Callable[[str], str | None] | None = None) -> None:
        self._resolve = resolve
        """Knows binaries by exec_id better than the log does: the agent's own process tree."""
        self._known: Recent[Known] = Recent()
        self._crumbs: Recent[str] = Recent()

    def note(self, process: Mapping[str, Any], user: str | None = None) -> None:
        """Remember a process for its descendants and its exit."""
        name, parent_id = base_name(process["binary"]), process.get("parent_exec_id", "")
        self._known.put(process["exec_id"], Known(sys.intern(name), user or "", parent_id))

    def user(self, exec_id: str) -> str:
        """The user name that was recorded at the process's exec; empty when it is not known."""
        known = self._known.get(exec_id)
        return known.user if known is not None else ""

    def name(self, exec_id: str) -> str:
        """The short name of a process, UNKNOWN when it was not seen."""
        known = self._known.get(exec_id)
        if known is not None:
            return known.name
        binary = self._resolve(exec_id) if self._resolve is not None and exec_id else None
        if not binary:
            return UNKNOWN
        self.note({"exec_id": exec_id, "binary": binary})
        return base_name(binary)

    def breadcrumb(self, parent: Mapping[str, Any] | None, ancestry: Sequence[str] | None) -> str:
        """`systemd › sshd › bash` down to `parent`, which a log may leave out. Empty without ancestors;
        cached per parent."""
        nearest = parent.get("exec_id") if parent else ancestry[0] if ancestry else None
        if not nearest:
            return ""
        crumb = self._crumbs.get(nearest)
        if crumb is None:
            if parent and "binary" in parent and self._known.get(nearest) is None:
                self.note(parent)
            names = [self.name(exec_id) for exec_id in _ends(ancestry or self._chain(nearest))]
            crumb = SEPARATOR.join(_collapsed(names))
            self._crumbs.put(nearest, crumb)
        return crumb

    def _chain(self, exec_id: str) -> list[str]:
        """Ancestry from what was seen, for logs that are written without it."""
        chain = [exec_id]
        while len(chain) < LONGEST_CHAIN and (known := self._known.get(chain[-1])) is not None:
            if not known.parent_id or known.parent_id in chain:
                break
            chain.append(known.parent_id)
        return chain


def _ends(ancestry: Sequence[str]) -> list[str]:
    """The ancestors to show, farthest first; an empty id stands for those left out."""
    if len(ancestry) <= NEAREST + FARTHEST + 1:
        return list(reversed(ancestry))
    return [*reversed(ancestry[-FARTHEST:]), "", *reversed(ancestry[:NEAREST])]


def _collapsed(names: Sequence[str]) -> list[str]:
    """Runs of unknown names become one."""
    return [
        name
        for index, name in enumerate(names)
        if name != UNKNOWN or not index or names[index - 1] != UNKNOWN
    ]


def pid_of(exec_id: str) -> int | None:
    """The pid inside an exec_id (base64 of `node:time:pid`); None when it is not one."""
    try:
        return int(base64.b64decode(exec_id, validate=True).rpartition(b":")[2])
    except ValueError:
        return None
