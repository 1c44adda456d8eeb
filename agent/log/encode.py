# SPDX-License-Identifier: Apache-2.0
"""Events to log lines: Tetragon's shape, one process object encoded once and spliced into each of its events.

A line is made in two pieces, before and after the sequence number, which only the writer knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from signal import Signals
from typing import Protocol

from orjson import dumps

from agent.events import FILECAPS, SETGID, SETUID, Exec, TaskFacts
from agent.log.records import OWN_HEAD, Line

NAMESPACES = (
    "uts", "ipc", "mnt", "pid", "pid_for_children", "net", "time", "time_for_children", "cgroup", "user",
)  # fmt: skip
_MEMO_MOST = 4096
_MEMO_CHARACTERS = 512
"""Longer texts are not remembered."""
_PRIVILEGES = SETUID | SETGID | FILECAPS
_USER_NAMESPACES = ("mnt", "user")
"""A process in others has other users, or another /etc/passwd."""
_CAP_SETS = ("permitted", "effective", "inheritable", "ambient")
_SIGNALS = {number: signal.name for number in range(1, 32) for signal in (Signals(number),)}


class PlaceLike(Protocol):
    """What is read of agent.enrich.home.Place."""

    def pod_field(self) -> str:
        """The key `pod` of a process."""

    def exec_fields(self) -> str:
        """What an exec says below `tracehound`."""


class ProcessLike(Protocol):
    """What is read of agent.enrich.process.Process (the log does not import enrich)."""

    exec_id: str
    parent_exec_id: str
    tgid: int
    uid: int
    auid: int
    cwd: str
    binary: str
    arguments: str
    words: str
    start_time: str
    flags: int
    container: str
    creator: str | None
    lineage: str | None
    fragment: str | None
    announced: bool

    @property
    def place(self) -> PlaceLike | None:
        """In a container that is followed."""

    @property
    def parent(self) -> ProcessLike | None:
        """The parent image."""

    @property
    def is_cut(self) -> bool:
        """Whether `parent` is a farther ancestor."""


class Detail(Protocol):
    """What is read of agent.enrich.describe.ExecDetail."""

    @property
    def argv(self) -> Sequence[str]: ...
    @property
    def exe(self) -> str: ...
    @property
    def cgroup(self) -> str: ...
    @property
    def environment(self) -> object: ...
    @property
    def truncated(self) -> tuple[str, ...]: ...
    @property
    def raw(self) -> object: ...


class Encoder:
    """Makes the lines of one agent. `ancestry` and `parent` are those of LogSettings."""

    def __init__(
        self,
        node_name: str,
        *,
        cluster_name: str = "",
        ancestry: str = "all",
        parent: str = "full",
        host_ns: Sequence[int] = (),
        credentials: bool = True,
        user_name: Callable[[int], str | None] | None = None,
    ) -> None:
        cluster = f',"cluster_name":{dumps(cluster_name).decode()}' if cluster_name else ""
        self._own_end = f',"node_name":{dumps(node_name).decode()}{cluster},"time":"'
        self._middle = f"}}{self._own_end}"
        self._parents = parent == "full"
        self._host_ns = tuple(host_ns)
        self._credentials = credentials
        self.changes = 0
        """How often settings changed: who keeps what was encoded makes it anew then."""
        self._facts: dict[int, tuple[TaskFacts, str]] = {}
        self._strings: dict[str, str] = {}
        self.change(ancestry, user_name)

    def change(self, ancestry: str, user_name: Callable[[int], str | None] | None) -> None:
        """What can be different from one line to the next."""
        self._on_exec = ancestry in ("all", "exec")
        self._on_all = ancestry == "all"
        self._user_name = user_name
        self._facts.clear()
        self.changes += 1

    def exec(self, process: ProcessLike, event: Exec, detail: Detail, stamp: str) -> Line:
        """A process_exec line."""
        arguments = f',"arguments":{dumps(detail.argv).decode()}' if detail.argv else ""
        exe = f',"exe":{self.string(detail.exe)}' if detail.exe != process.binary else ""
        tail = f"{arguments}{exe}{self.facts_json(event.facts)}"
        if detail.cgroup and event.facts.cgroup_id:
            tail += f',"cgroup":{{"id":"{event.facts.cgroup_id}","name":{self.string(detail.cgroup)}}}'
        if (
            event.head.flags & _PRIVILEGES
            or event.head.nspid
            or not event.inode_links
            or process.creator
            or detail.environment
            or detail.truncated
            or detail.raw
        ):
            tail += self._unusual(process, event, detail)
        return self.exec_of(process, stamp, tail)

    def exec_of(self, process: ProcessLike, stamp: str, own: str) -> Line:
        """A process_exec line; `own` is what stands below `tracehound` behind the ancestry."""
        process.announced = True
        parent = process.parent
        if process.place is not None:
            own += process.place.exec_fields()
        above = f',"parent":{parent.fragment or self.fragment(parent)}' if parent and self._parents else ""
        head = (
            f'{{"process_exec":{{"process":{process.fragment or self.fragment(process)}'
            f'{above}{self._middle}{stamp}","tracehound":{{"sequence":'
        )
        if self._on_exec:
            lineage = parent.lineage or self.ancestry(process) if parent else ""
            return head.encode(), f',"ancestry":[{lineage}]{own}}}}}\n'.encode()
        return head.encode(), f"{own}}}}}\n".encode()

    def _unusual(self, process: ProcessLike, event: Exec, detail: Detail) -> str:
        """What few execs have."""
        content: dict[str, object] = {}
        if not event.inode_links:
            device = f"{event.inode_device >> 20}:{event.inode_device & 0xFFFFF}"
            content["inode"] = {"number": str(event.inode_number), "links": 0, "dev": device}
        if event.head.flags & _PRIVILEGES:
            content["binary_properties"] = _binary_properties(event)
        if event.head.nspid:
            content["nspid"] = event.head.nspid
        if process.creator:
            content["creator"] = process.creator
        for name, value in (
            ("environment", detail.environment),
            ("truncated", detail.truncated),
            ("raw", detail.raw),
        ):
            if value:
                content[name] = value
        return f",{dumps(content)[1:-1].decode()}"

    def exit(self, process: ProcessLike, code: int, stamp: str, *, detailed: bool = True) -> Line:
        """A process_exit line; without detail (overload) it has no parent and no ancestry."""
        parent = process.parent
        shown = detailed and parent is not None and self._parents
        above = f',"parent":{parent.fragment or self.fragment(parent)}' if shown and parent else ""
        head = (
            f'{{"process_exit":{{"process":{process.fragment or self.fragment(process)}'
            f'{above}{_outcome(code) if code else ""},"time":"{stamp}"'
            f'{self._middle}{stamp}","tracehound":{{"sequence":'
        )
        if self._on_all and detailed:
            lineage = parent.lineage or self.ancestry(process) if parent else ""
            return head.encode(), f',"ancestry":[{lineage}]}}}}\n'.encode()
        return head.encode(), b"}}\n"

    def fork(self, process: ProcessLike, stamp: str) -> Line:
        """The own record `fork`: describes a process that has not executed anything."""
        process.announced = True
        content = f'{{"process":{self.fragment(process)}{self._parent_field(process)}}}'
        return OWN_HEAD, f',"fork":{content}}}{self._own_end}{stamp}"}}\n'.encode()

    def around_hook(self, kind: str, process: ProcessLike, tid: int) -> tuple[str, str, str]:
        """What events of a policy have in common as long as one thread makes them: what stands before their
        own fields, between these and the time, and at the beginning of what is below `tracehound`."""
        fragment = process.fragment or self.fragment(process)
        if tid != process.tgid:
            fragment = _with_thread(fragment, tid)
        ancestry = f',"ancestry":[{self.ancestry(process)}]' if self._on_all else ""
        return f'{{"{kind}":{{"process":{fragment}{self._parent_field(process)}', self._middle, ancestry

    def fragment(self, process: ProcessLike) -> str:
        """The default process fields, encoded once per image."""
        known = process.fragment
        if known is None:
            known = process.fragment = self._process_json(process)
        return known

    def ancestry(self, process: ProcessLike) -> str:
        """exec_ids from the parent to pid 1, as JSON strings joined by commas, an empty one for a cut; kept
        with the parent, so that it is made once for all its children."""
        parent = process.parent
        if parent is None or not parent.tgid:
            return ""
        return parent.lineage or self._lineage(parent)

    def _lineage(self, process: ProcessLike) -> str:
        chain = []
        above: ProcessLike | None = process
        while above is not None and above.tgid and above.lineage is None:
            chain.append(above)
            above = above.parent
        text = above.lineage or "" if above is not None else ""
        for link in reversed(chain):
            if link.is_cut:
                text = f'"",{text}'
            text = link.lineage = f'"{link.exec_id}",{text}' if text else f'"{link.exec_id}"'
        return text

    def _parent_field(self, process: ProcessLike) -> str:
        parent = process.parent
        if parent is None or not self._parents:
            return ""
        return f',"parent":{parent.fragment or self.fragment(parent)}'

    def _process_json(self, process: ProcessLike) -> str:
        cwd = f',"cwd":{self.string(process.cwd)}' if process.cwd else ""
        arguments = f',"arguments":{dumps(process.arguments).decode()}' if process.arguments else ""
        start = f',"start_time":"{process.start_time}"' if process.start_time else ""
        binary = f',"binary":{self.string(process.binary)}' if process.binary else ""
        flags = f',"flags":"{process.words}"' if process.words else ""
        docker = f',"docker":{self.string(process.container[:31])}' if process.container else ""
        pod = process.place.pod_field() if process.place is not None else ""
        parent = f',"parent_exec_id":"{process.parent_exec_id}"' if process.parent_exec_id else ""
        return (
            f'{{"exec_id":"{process.exec_id}","pid":{process.tgid},"uid":{process.uid}{cwd}'
            f"{binary}{arguments}{flags}{start}"
            f',"auid":{process.auid}{pod}{docker}{parent},"tid":{process.tgid}'
            f',"in_init_tree":{"true" if process.flags & 2 else "false"}}}'
        )

    def string(self, text: str) -> str:
        """A short text as JSON."""
        known = self._strings.get(text)
        if known is None:
            known = dumps(text).decode()
            if len(self._strings) >= _MEMO_MOST:
                self._strings.clear()
            if len(text) <= _MEMO_CHARACTERS:
                self._strings[text] = known
        return known

    def facts_json(self, facts: TaskFacts) -> str:
        """What an exec record says of its task, as keys below `tracehound`."""
        known = self._facts.get(id(facts))
        if known is None or known[0] is not facts:
            if len(self._facts) >= _MEMO_MOST:
                self._facts.clear()
            known = self._facts[id(facts)] = (facts, self._encode_facts(facts))
        return known[1]

    def _encode_facts(self, facts: TaskFacts) -> str:
        content: dict[str, object] = {}
        credentials = facts.credentials
        if self._credentials:
            ids = credentials[:8]
            if any(number != credentials.euid for number in ids):
                content["cred"] = ids
            sets = zip(_CAP_SETS, credentials[8:12], strict=True)
            masks = {name: f"{mask:x}" for name, mask in sets if mask}
            if masks:
                content["cap"] = masks["effective"] if masks == _same(masks) else masks
            if credentials.securebits:
                content["securebits"] = credentials.securebits
        ns = {
            name: inum
            for name, inum, host in zip(NAMESPACES, facts.ns, self._host_ns, strict=False)
            if inum != host
        }
        if ns:
            content["ns"] = ns
        if self._user_name and ns.keys().isdisjoint(_USER_NAMESPACES):
            name = self._user_name(credentials.euid)
            if name:
                content["user"] = name
        content["sid"], content["pgid"] = facts.sid, facts.pgid
        if facts.tty:
            content["tty"] = facts.tty.decode(errors="replace")
        return f",{dumps(content)[1:-1].decode()}"


def _same(masks: Mapping[str, str]) -> dict[str, str]:
    """What one mask stands for, as root's do: permitted and effective, and nothing else."""
    return dict.fromkeys(_CAP_SETS[:2], masks.get("effective", ""))


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; real-time signals as `SIGRTMIN+n`, which is how kill(1) names them."""
    known = _SIGNALS.get(number)
    if known:
        return known
    if 34 <= number <= 64:
        return f"SIGRTMIN+{number - 34}" if number > 34 else "SIGRTMIN"
    return f"SIG{number}"


def _outcome(code: int) -> str:
    """How a process ended, from what wait(2) gives."""
    signal, status = code & 0x7F, code >> 8 & 0xFF
    how = f',"signal":"{signal_name(signal)}"' if signal else ""
    return f'{how},"status":{status}' if status else how


def _with_thread(fragment: str, tid: int) -> str:
    """A process's fields with another thread's id. `in_init_tree` alone stands behind it."""
    before, name, after = fragment.rpartition(',"tid":')
    return f"{before}{name}{tid}{after[after.index(',') :]}"


def _binary_properties(event: Exec) -> dict[str, object]:
    flags, credentials = event.head.flags, event.facts.credentials
    content: dict[str, object] = {}
    changed = []
    if flags & SETUID:
        content["setuid"] = credentials.euid
    if flags & SETGID:
        content["setgid"] = credentials.egid
    if flags & FILECAPS:
        changed.append("PRIVILEGES_RAISED_EXEC_FILE_CAP")
    if flags & SETUID and credentials.euid == 0:
        changed.append("PRIVILEGES_RAISED_EXEC_FILE_SETUID")
    if flags & SETGID and credentials.egid == 0:
        changed.append("PRIVILEGES_RAISED_EXEC_FILE_SETGID")
    if changed:
        content["privileges_changed"] = changed
    return content
