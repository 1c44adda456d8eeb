# SPDX-License-Identifier: Apache-2.0
"""What is remembered of processes, by exec_id, from the records that pass: bounded, exited ones first.

Rules ask for a parent's command line and for all ancestors; events refer to processes by exec_id, and say it
all once, at the exec (docs/architecture.md).
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any

Fields = dict[str, Any]
MAX_PROCESSES = 65_536
"""About 1.5 kB each. As many live processes are more than pid_max allows by default."""
LONG = 1024
"""Characters of arguments that are always kept; nearly all processes have fewer."""
MAX_LONG_BYTES = 64 << 20
"""Memory for all arguments that are longer. Beyond it those that came first are cut to LONG."""
MAX_DEPTH = 128
"""Ancestors of a chain that are looked at (as in the log's `ancestry`)."""
KEPT = ("arguments", "exe", "user", "environment", "inode", "tty", "cred", "container")
"""Keys below `tracehound` of an exec that are remembered."""
_KEPT = frozenset(KEPT)
SHOWN = (
    "exec_id",
    "pid",
    "uid",
    "auid",
    "cwd",
    "binary",
    "arguments",
    "flags",
    "start_time",
    "docker",
    "pod",
    "parent_exec_id",
)
"""Fields of a process that detections show."""


class Known:
    """One process image."""

    __slots__ = ("_above", "_depth", "images", "own", "parent", "process", "text")

    def __init__(self, process: Fields, own: Fields, parent: Known | None) -> None:
        self.process = process
        """As in the log: exec_id, pid, binary …"""
        self.own = own
        """KEPT of its exec; empty where that was not seen."""
        self.parent = parent
        """None: not known. Held here, so that a parent is there as long as a child."""
        self.images = images_of(process, own)
        """The executable's resolved path, and the path that was executed; empty: unknown."""
        self.text = command_line_of(process, own)
        """Its arguments with spaces between; None: unknown."""
        self._above: tuple[str, ...] | None = None
        self._depth: int = 0 if parent is None else parent._depth + 1
        if self._depth >= 2 * MAX_DEPTH:
            self._cut()

    def _cut(self) -> None:
        """Lets go of those beyond MAX_DEPTH: generations without end must not stay in memory."""
        known = self
        for _ in range(MAX_DEPTH):
            if known.parent is None:
                break
            known = known.parent
        known.parent = None
        self._depth = MAX_DEPTH

    @property
    def above(self) -> tuple[str, ...]:
        """Images of all ancestors, parent first."""
        if self._above is None:
            parent = self.parent
            self._above = () if parent is None else (parent.images + parent.above)[: 2 * MAX_DEPTH]
        return self._above

    def ancestors(self) -> Iterator[Known]:
        """Parent first."""
        known = self.parent
        for _ in range(MAX_DEPTH):
            if known is None:
                return
            yield known
            known = known.parent

    @property
    def weight(self) -> int:
        """About how many bytes its arguments take: as text, as the log has them, and one by one."""
        return 3 * sys.getsizeof(self.text)

    def shorten(self, most: int) -> None:
        """Keeps so many characters of its arguments."""
        self.text = self.text[:most] if self.text is not None else None
        arguments = self.process.get("arguments")
        if type(arguments) is str:
            self.process = {**self.process, "arguments": arguments[:most]}
        vector = self.own.get("arguments")
        if type(vector) is list:
            self.own = {**self.own, "arguments": list(_first(vector, most))}

    def shown(self) -> Fields:
        """For detections: the fields of SHOWN as events have them, `user` and `exe`."""
        own = self.own
        told = {key: self.process[key] for key in SHOWN if key in self.process}
        told.update({key: own[key] for key in ("exe", "user") if key in own})
        return told


def images_of(process: Fields, own: Fields) -> tuple[str, ...]:
    """The paths of a process's executable: the resolved one, then the one that was executed."""
    binary, exe = process.get("binary"), own.get("exe")
    if type(binary) is not str or not binary:
        return (exe,) if type(exe) is str and exe else ()
    return (exe, binary) if type(exe) is str and exe and exe != binary else (binary,)


def command_line_of(process: Fields, own: Fields) -> str | None:
    """All arguments, the program's name first, as Sysmon for Linux shows them: spaces between, no quotes."""
    arguments = own.get("arguments")
    if type(arguments) is list and arguments:
        try:
            return " ".join(arguments)
        except TypeError:
            return " ".join(map(str, arguments))
    binary, rest = process.get("binary"), process.get("arguments")
    if type(binary) is not str or not binary:
        return None
    return f"{binary} {rest}" if type(rest) is str and rest else binary


def _first(arguments: Iterable[object], most: int) -> Iterator[str]:
    """The arguments that fit into so many characters, the last one cut."""
    for one in arguments:
        text = str(one)[:most]
        most -= len(text) + 1
        yield text
        if most <= 0:
            return


class Lineage:
    """The processes of one boot."""

    def __init__(self, most: int = MAX_PROCESSES, most_long_bytes: int = MAX_LONG_BYTES) -> None:
        self._most, self._most_long = most, most_long_bytes
        self._long: deque[Known] = deque()
        """Those with arguments beyond LONG, in the order in which they came."""
        self._long_bytes = 0
        self._known: dict[str, Known] = {}
        self._exited: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, exec_id: object) -> Known | None:
        """A process; None when it is not known (any more)."""
        return self._known.get(exec_id) if type(exec_id) is str else None

    def begin(self, process: Fields, own: Fields, parent: object) -> Known:
        """An exec, or a fork that became relevant. `parent`: as the event has it."""
        kept = {key: value for key, value in own.items() if key in _KEPT}
        known = Known(process, kept, self._parent_of(process, parent))
        self._keep(process.get("exec_id"), known)
        return known

    def of_event(self, process: Fields, parent: object) -> Known:
        """The process that an event is of. One that is not known is remembered as the event tells it."""
        known = self.get(process.get("exec_id"))
        if known is not None and known.images:
            return known
        known = Known(process, {}, self._parent_of(process, parent))
        self._keep(process.get("exec_id"), known)
        return known

    def end(self, exec_id: object) -> None:
        """A process has exited: it may be forgotten when there is no room."""
        if type(exec_id) is str and exec_id in self._known:
            self._exited[exec_id] = None

    def forget(self) -> None:
        """Another boot."""
        self._known.clear()
        self._exited.clear()
        self._long.clear()
        self._long_bytes = 0

    def adopt(self, other: Lineage) -> None:
        """What another one knows."""
        for exec_id, known in other._known.items():
            self._keep(exec_id, known)
        for exec_id in other._exited:
            self.end(exec_id)

    def named(self, exec_ids: Iterable[object]) -> Iterator[Known]:
        """Those of them that are known."""
        for exec_id in exec_ids:
            known = self.get(exec_id)
            if known is not None:
                yield known

    def _parent_of(self, process: Fields, parent: object) -> Known | None:
        exec_id = process.get("parent_exec_id")
        if exec_id == process.get("exec_id"):
            return None
        known = self._known.get(exec_id) if type(exec_id) is str else None
        if known is not None and known.images:
            return known
        if type(parent) is not dict or parent.get("exec_id") != exec_id:
            return known
        # As far as the event tells: the fields of a process, without what stands at its exec.
        above = self.get(parent.get("parent_exec_id"))
        known = Known(parent, {}, above)
        self._keep(exec_id, known)
        return known

    def _keep(self, exec_id: object, known: Known) -> None:
        if type(exec_id) is not str:
            return
        if exec_id in self._known:
            self._exited.pop(exec_id, None)
        elif len(self._known) >= self._most:
            self._make_room()
        self._known[exec_id] = known
        if known.text is not None and len(known.text) > LONG:
            self._keep_long(known)

    def _keep_long(self, known: Known) -> None:
        """One that has just come is whole: rules see what was executed."""
        self._long.append(known)
        self._long_bytes += known.weight
        while self._long_bytes > self._most_long and len(self._long) > 1:
            first = self._long.popleft()
            self._long_bytes -= first.weight
            first.shorten(LONG)

    def _make_room(self) -> None:
        """Forgets the one that exited first, or the one that is there for longest."""
        oldest = self._exited.popitem(last=False)[0] if self._exited else next(iter(self._known))
        self._known.pop(oldest, None)
