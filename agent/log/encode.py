# SPDX-License-Identifier: Apache-2.0
"""Events to log lines: Tetragon's shape, one process object encoded once and spliced into each of its events.

A line is made in two pieces, before and after the sequence number, which only the writer knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from signal import Signals
from typing import Protocol

from orjson import dumps

from agent.events import FILECAPS, SETGID, SETUID, Exec, TaskFacts
from agent.log.records import OWN_HEAD, Line

NAMESPACES = (
    "uts", "ipc", "mnt", "pid", "pid_for_children", "net", "time", "time_for_children", "cgroup", "user",
)  # fmt: skip
_MEMO_MOST = 4096
_CAP_SETS = ("permitted", "effective", "inheritable", "ambient")
_SIGNALS = {number: signal.name for number in range(1, 32) for signal in (Signals(number),)}


class ProcessLike(Protocol):
    """What is read of agent.enrich.process.Process (the log does not import enrich)."""

    exec_id: str
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
    ancestry: bytes | None
    fragment: bytes | None
    announced: bool

    @property
    def parent(self) -> ProcessLike | None:
        """The parent image."""


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
        cluster = b',"cluster_name":%b' % dumps(cluster_name) if cluster_name else b""
        self._middle = b'},"node_name":%b%b,"time":"' % (dumps(node_name), cluster)
        self._own_end = b',"node_name":%b%b,"time":"' % (dumps(node_name), cluster)
        self._on_exec = ancestry in ("all", "exec")
        self._on_all = ancestry == "all"
        self._parents = parent == "full"
        self._host_ns = tuple(host_ns)
        self._credentials = credentials
        self._user_name = user_name
        self._facts: dict[int, tuple[TaskFacts, bytes]] = {}
        self._strings: dict[str, bytes] = {}

    def exec(self, process: ProcessLike, event: Exec, detail: Detail, stamp: str) -> Line:
        """A process_exec line."""
        process.announced = True
        head = b'{"process_exec":{"process":%b%b%b%b","tracehound":{"sequence":' % (
            self.fragment(process),
            self._parent_field(process),
            self._middle,
            stamp.encode(),
        )
        tail = [b""]
        if self._on_exec:
            tail.append(b'"ancestry":[%b]' % self.ancestry(process))
        if detail.argv:
            tail.append(b'"arguments":%b' % dumps(detail.argv))
        if detail.exe != process.binary:
            tail.append(b'"exe":%b' % self._string(detail.exe))
        if not event.inode_links:
            tail.append(
                b'"inode":{"number":"%d","links":0,"dev":"%d:%d"}'
                % (event.inode_number, event.inode_device >> 20, event.inode_device & 0xFFFFF)
            )
        facts = self._facts_json(event.facts)
        if facts:
            tail.append(facts)
        if event.head.flags & (SETUID | SETGID | FILECAPS):
            tail.append(_binary_properties(event))
        if event.head.nspid:
            tail.append(b'"nspid":%d' % event.head.nspid)
        if event.facts.cgroup_id and detail.cgroup:
            name = self._string(detail.cgroup)
            tail.append(b'"cgroup":{"id":"%d","name":%b}' % (event.facts.cgroup_id, name))
        if process.creator:
            tail.append(b'"creator":"%b"' % process.creator.encode())
        if detail.environment:
            tail.append(b'"environment":%b' % dumps(detail.environment))
        if detail.truncated:
            tail.append(b'"truncated":%b' % dumps(detail.truncated))
        if detail.raw:
            tail.append(b'"raw":%b' % dumps(detail.raw))
        return head, b",".join(tail) + b"}}\n"

    def exit(self, process: ProcessLike, code: int, stamp: str, *, detailed: bool = True) -> Line:
        """A process_exit line; without detail (overload) it has no parent and no ancestry."""
        signal, status = code & 0x7F, code >> 8 & 0xFF
        when = stamp.encode()
        head = b'{"process_exit":{"process":%b%b%b%b,"time":"%b"%b%b","tracehound":{"sequence":' % (
            self.fragment(process),
            self._parent_field(process) if detailed else b"",
            b',"signal":"%b"' % signal_name(signal).encode() if signal else b"",
            b',"status":%d' % status if status else b"",
            when,
            self._middle,
            when,
        )
        if self._on_all and detailed:
            return head, b',"ancestry":[%b]}}\n' % self.ancestry(process)
        return head, b"}}\n"

    def fork(self, process: ProcessLike, stamp: str) -> Line:
        """The own record `fork`: describes a process that has not executed anything."""
        process.announced = True
        return OWN_HEAD, b',"fork":{"process":%b%b}}%b%b"}\n' % (
            self.fragment(process),
            self._parent_field(process),
            self._own_end,
            stamp.encode(),
        )

    def fragment(self, process: ProcessLike) -> bytes:
        """The default process fields, encoded once per image."""
        known = process.fragment
        if known is None:
            known = process.fragment = self._process_json(process)
        return known

    def ancestry(self, process: ProcessLike) -> bytes:
        """exec_ids from the parent to pid 1, as JSON strings joined by commas; encoded once per image."""
        if process.ancestry is None:
            chain = []
            above: ProcessLike | None = process
            while above is not None and above.ancestry is None:
                chain.append(above)
                above = above.parent
            for link in reversed(chain):
                parent = link.parent
                if parent is None or not parent.tgid:
                    link.ancestry = b""
                elif parent.ancestry:
                    link.ancestry = b'"%b",%b' % (parent.exec_id.encode(), parent.ancestry)
                else:
                    link.ancestry = b'"%b"' % parent.exec_id.encode()
        return process.ancestry or b""

    def _parent_field(self, process: ProcessLike) -> bytes:
        parent = process.parent
        return b',"parent":%b' % self.fragment(parent) if self._parents and parent is not None else b""

    def _process_json(self, process: ProcessLike) -> bytes:
        parent = process.parent
        return (
            b'{"exec_id":"%b","pid":%d,"uid":%d%b,"binary":%b%b,"flags":"%b"%b,"auid":%d%b%b,"tid":%d,%b}'
        ) % (
            process.exec_id.encode(),
            process.tgid,
            process.uid,
            b',"cwd":%b' % self._string(process.cwd) if process.cwd else b"",
            self._string(process.binary),
            b',"arguments":%b' % dumps(process.arguments) if process.arguments else b"",
            process.words.encode(),
            b',"start_time":"%b"' % process.start_time.encode() if process.start_time else b"",
            process.auid,
            b',"docker":"%b"' % process.container[:31].encode() if process.container else b"",
            b',"parent_exec_id":"%b"' % parent.exec_id.encode() if parent is not None else b"",
            process.tgid,
            b'"in_init_tree":true' if process.flags & 2 else b'"in_init_tree":false',
        )

    def _string(self, text: str) -> bytes:
        known = self._strings.get(text)
        if known is None:
            if len(self._strings) >= _MEMO_MOST:
                self._strings.clear()
            known = self._strings[text] = dumps(text)
        return known

    def _facts_json(self, facts: TaskFacts) -> bytes:
        known = self._facts.get(id(facts))
        if known is None or known[0] is not facts:
            if len(self._facts) >= _MEMO_MOST:
                self._facts.clear()
            known = self._facts[id(facts)] = (facts, self._encode_facts(facts))
        return known[1]

    def _encode_facts(self, facts: TaskFacts) -> bytes:
        content: dict[str, object] = {}
        credentials = facts.credentials
        if self._credentials:
            ids = credentials[:8]
            if any(number != credentials.euid for number in ids):
                content["cred"] = ids
            sets = zip(_CAP_SETS, credentials[8:12], strict=True)
            masks = {name: f"{mask:x}" for name, mask in sets if mask}
            if masks:
                content["cap"] = masks
            if credentials.securebits:
                content["securebits"] = credentials.securebits
        ns = {
            name: inum
            for name, inum, host in zip(NAMESPACES, facts.ns, self._host_ns, strict=False)
            if inum != host
        }
        if ns:
            content["ns"] = ns
        name = self._user_name(credentials.euid) if self._user_name else None
        if name:
            content["user"] = name
        content["sid"], content["pgid"] = facts.sid, facts.pgid
        if facts.tty:
            content["tty"] = facts.tty.decode(errors="replace")
        return dumps(content)[1:-1]


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; real-time signals as `SIGRTMIN+n`, which is how kill(1) names them."""
    known = _SIGNALS.get(number)
    if known:
        return known
    return f"SIGRTMIN+{number - 34}" if number >= 34 else f"SIG{number}"


def _binary_properties(event: Exec) -> bytes:
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
    return b'"binary_properties":%b' % dumps(content)
