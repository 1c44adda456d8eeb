# SPDX-License-Identifier: Apache-2.0
"""What every format reads of a record: which kind it is, when, of which function, which files and sockets.

Nothing here raises for a record that is not as it should be; what could not be read is named in `malformed`.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any, NamedTuple

from agent.log.times import parse_time
from exporters.formats.classify import LIBRARY_CALL, LIBRARY_LOAD, Deed, classify
from exporters.formats.shape import UNSET_ID, address, base_name, is_count, is_number, is_text

Fields = dict[str, Any]
_EVENTS = {
    "process_exec": "exec",
    "process_exit": "exit",
    "process_kprobe": "policy",
    "process_lsm": "policy",
    "process_tracepoint": "policy",
    "process_uprobe": "policy",
    "process_usdt": "policy",
    "process_loader": "loader",
}
_ENFORCING = frozenset(
    {
        "KPROBE_ACTION_SIGKILL",
        "KPROBE_ACTION_SIGNAL",
        "KPROBE_ACTION_OVERRIDE",
        "KPROBE_ACTION_NOTIFYENFORCER",
    }
)
_FILE_MEMBERS = ("file_arg", "path_arg", "linux_binprm_arg")
_SOCKET_MEMBERS = ("sock_arg", "skb_arg", "sockaddr_arg", "sockaddrun_arg")
_FILE_TYPES = {
    "-": "file",
    "d": "dir",
    "c": "char device",
    "b": "block device",
    "s": "socket",
    "p": "fifo",
    "l": "symlink",
}
"""By the first letter of `permission`, as ls(1) writes it."""
_PROTOCOLS = {
    name: (name.removeprefix("IPPROTO_").lower(), int(number))
    for name, number in vars(socket).items()
    if name.startswith("IPPROTO_")
}
"""Name and number by the kernel's name; numbers of IANA, see include/uapi/linux/in.h."""
_TEXTS = {str}
_FAMILIES = {"AF_INET": "ipv4", "AF_INET6": "ipv6"}


class File(NamedTuple):
    """A file that was an argument."""

    path: str
    type: str = ""
    """`file`, `dir`, `symlink` …; empty when not known."""
    permission: str = ""
    """As ls(1) writes it: `-rw-r--r--`."""
    is_deleted: bool = False
    """Whether it has no name any more."""

    @property
    def name(self) -> str:
        """Last component of the path."""
        return base_name(self.path)

    @property
    def mode(self) -> str:
        """`permission` in octal: `0640`; empty when not known."""
        return _octal(self.permission)


class Socket(NamedTuple):
    """The ends of a connection, seen from the process (of a packet: sender and receiver)."""

    local: str = ""
    """IP address; empty when not known."""
    local_port: int = 0
    """0 when not known."""
    peer: str = ""
    peer_port: int = 0
    protocol: str = ""
    """`tcp`, `udp` …; empty when not known."""
    protocol_number: int = -1
    """Of IANA; -1 when not known."""
    family: str = ""
    """`ipv4`, `ipv6`; else the kernel's name in lower case (`unix`)."""
    path: str = ""
    """Of a Unix socket."""
    is_packet: bool = False
    """Whether it is a packet: `local` sent it then."""


class Facts:
    """One record, read. Fields that do not apply to its kind are empty."""

    __slots__ = (
        "args", "deed", "event", "function", "kind", "malformed", "node", "own", "process", "returned",
        "sequence", "time_ns", "type", )  # fmt: skip

    def __init__(self, record: Fields) -> None:
        self.malformed: list[str] = []
        """Names of what was of a wrong type or missing."""
        self.args: list[Fields] = []
        """Arguments of the function, each a JSON object."""
        self.returned: int | None = None
        """What the function returned where that is a number: negative is an error of the kernel."""
        self.function = ""
        """Function, tracepoint or LSM hook that was called."""
        self.deed: Deed | None = None
        """What the event of a policy is."""
        own = record.get("tracehound")
        if type(own) is not dict:
            if own is not None:
                self.malformed.append("tracehound")
            own = {}
        self.own: Fields = own
        """What is below `tracehound`."""
        self._name_it(record)
        node = record.get("node_name", "")
        self.node: str = node if is_text(node) else self._bad("node_name")
        sequence = own.get("sequence", 0)
        self.sequence: int = sequence if is_count(sequence) else self._bad("sequence", 0)
        """0 when it has none."""
        self.time_ns: int = self._time_of(record.get("time"))
        """Wall-clock nanoseconds."""
        if self.kind == "policy":
            self._read_call()
        elif self.kind == "loader":
            self.deed, self.function = LIBRARY_LOAD, "loader"

    def _name_it(self, record: Fields) -> None:
        own = self.own
        if "detection" in own:
            self.type = self.kind = "detection"
            self.event = self._dict(own["detection"], "detection")
        else:
            self.type = next((key for key in record if key in _EVENTS), "")
            """Key that names it: `process_exec`, `process_kprobe`, `loss` …"""
            self.kind = _EVENTS.get(self.type, "own")
            """`exec`, `exit`, `policy`, `loader`, `fork`, `detection`, or `own` for all other own records."""
            if self.kind != "own":
                self.event = self._dict(record[self.type], self.type)
            else:
                self._name_own(record)
        self.process: object = self.event.get("process")
        """As it stands in the record; give it to Lineage.subject."""

    def _name_own(self, record: Fields) -> None:
        own = self.own
        kinds = [key for key in own if key not in ("sequence", "ancestry")]
        self.type = kinds[0] if kinds and is_text(kinds[0]) else ""
        if self.type:
            content = own[self.type]
            self.event = content if type(content) is dict else {"value": content}
            self.kind = "fork" if self.type == "fork" and type(content) is dict else "own"
            return
        unknown = [key for key in record if key not in ("tracehound", "node_name", "time", "cluster_name")]
        self.type = unknown[0] if unknown and is_text(unknown[0]) else "unknown"
        content = record.get(self.type, {})
        self.event = content if type(content) is dict else {"value": content}

    def _read_call(self) -> None:
        event = self.event
        names = (
            event.get("function_name") or event.get("symbol") or event.get("event") or event.get("name") or ""
        )
        self.function = names if is_text(names) else self._bad("function_name")
        args = event.get("args")
        if type(args) is list:
            self.args = [arg for arg in args if type(arg) is dict]
            if len(self.args) != len(args):
                self.malformed.append("args")
        elif args is not None:
            self.malformed.append("args")
        returned = event.get("return")
        if type(returned) is dict:
            value = returned.get("int_arg")
            self.returned = value if is_number(value) else None
        if self.type in ("process_uprobe", "process_usdt"):
            self.deed = LIBRARY_CALL
        else:
            self.deed = classify(self.function, self.args)

    def _time_of(self, time: object) -> int:
        """Of events without a time (process_loader), when their process began."""
        if type(time) is not str and type(self.process) is dict:
            self.malformed.append("time")
            time = self.process.get("start_time")
        try:
            return _time_ns(time)
        except (ValueError, TypeError, AttributeError, OverflowError):
            return int(self._bad("time", 0))

    def _dict(self, value: object, name: str) -> Fields:
        return value if type(value) is dict else self._bad(name, {})

    def _bad(self, name: str, instead: Any = "") -> Any:
        if name not in self.malformed:
            self.malformed.append(name)
        return instead

    def text(self, key: str) -> str:
        """A text of the event itself; empty when it is absent."""
        value = self.event.get(key)
        return "" if value is None else value if is_text(value) else self._bad(key)

    def number(self, key: str) -> int | None:
        """A number of the event itself that is not negative; None when it is absent."""
        value = self.event.get(key)
        return None if value is None else value if is_count(value) else self._bad(key, None)

    def texts(self, key: str) -> list[str]:
        """A list of texts of the event itself."""
        value = self.event.get(key)
        if value is None:
            return []
        return value if type(value) is list and all(map(is_text, value)) else self._bad(key, [])

    def below(self, key: str, kind: type) -> Any:
        """A value below `tracehound`; None when it is absent or not of that type."""
        value = self.own.get(key)
        return value if value is None or type(value) is kind else self._bad(key, None)

    def ancestry(self) -> list[str] | None:
        """exec_ids from the parent upwards; None when the record does not list them. A detection has whole
        processes instead."""
        if self.kind == "detection" and type(above := self.event.get("ancestors")) is list:
            ids = [one.get("exec_id") for one in above if type(one) is dict]
            return [exec_id for exec_id in ids if is_text(exec_id)]
        value = self.own.get("ancestry")
        if value is not None and (type(value) is not list or not set(map(type, value)) <= _TEXTS):
            self._bad("ancestry")
            return None
        ancestry: list[str] | None = value
        return ancestry

    def policy(self) -> Fields:
        """What is below `tracehound.policy`."""
        value = self.own.get("policy")
        return {} if value is None else self._dict(value, "policy")

    def done(self) -> list[str]:
        """What was done to the call: `["Override EPERM","Signal SIGKILL"]`; empty when it went its way.

        Of events that other agents recorded, the action stands for it: they do not tell what was done.
        """
        if "policy" in self.own:
            did = self.policy().get("did")
            return did if type(did) is list and all(map(is_text, did)) else []
        action = self.event.get("action")
        return [action.removeprefix("KPROBE_ACTION_")] if type(action) is str and action in _ENFORCING else []

    def files(self) -> list[File]:
        """Files among the arguments. A directory and the name in it, as the library's policies have them
        (labels `directory` or `into`, then `name`), are one. Of system calls it is the first text."""
        found: list[File] = []
        for index, arg in enumerate(self.args):
            member = next((key for key in _FILE_MEMBERS if key in arg), None)
            if member is None:
                continue
            file = self._file(arg[member], member, index)
            if file is None:
                continue
            if arg.get("label") == "name" and found and "label" in self.args[index - 1]:
                file = file._replace(path=f"{found.pop().path.rstrip('/')}/{file.name}")
            found.append(file)
        if not found and self.deed is not None and self.deed.area in ("file", "process"):
            found = [File(text) for arg in self.args if is_text(text := arg.get("string_arg")) and text]
        return found

    def _file(self, value: object, member: str, index: int) -> File | None:
        if type(value) is not dict:
            self._bad(member)
            return None
        path, permission = value.get("path", ""), value.get("permission", "")
        if not is_text(path) or not is_text(permission):
            self._bad(member)
            return None
        inodes = self.own.get("inode")
        is_deleted = type(inodes) is dict and f"args.{index}" in inodes
        return File(path, _FILE_TYPES.get(permission[:1], ""), permission, is_deleted) if path else None

    def socket(self) -> Socket | None:
        """The first socket, packet or address among the arguments and the return value."""
        returned = self.event.get("return")
        for arg in [*self.args, returned] if type(returned) is dict else self.args:
            for member in _SOCKET_MEMBERS:
                if member in arg:
                    value = arg[member]
                    return self._socket(value, member) if type(value) is dict else self._bad(member, None)
        return None

    def _socket(self, value: Fields, member: str) -> Socket:
        family, protocol, path = [self._word(value, key) for key in ("family", "protocol", "path")]
        name, number = _PROTOCOLS.get(protocol, (protocol.removeprefix("IPPROTO_").lower(), -1))
        family = _FAMILIES.get(family, family.removeprefix("AF_").lower())
        if member == "sockaddr_arg":
            peer, port = self._address(value, "addr"), self._port(value, "port")
            return Socket("", 0, peer, port, name, number, family)
        local, peer = self._address(value, "saddr"), self._address(value, "daddr")
        if family == "ipv6" and "." in local + peer:
            family = "ipv4"
        ports = self._port(value, "sport"), self._port(value, "dport")
        return Socket(local, ports[0], peer, ports[1], name, number, family, path, member == "skb_arg")

    def _word(self, value: Fields, key: str) -> str:
        text = value.get(key, "")
        return text if is_text(text) else self._bad(key)

    def _address(self, value: Fields, key: str) -> str:
        text = value.get(key, "")
        if type(text) is str and (not text or (found := address(text))):
            return found if text else ""
        return str(self._bad(key))

    def _port(self, value: Fields, key: str) -> int:
        port = value.get(key, 0)
        return port if type(port) is int and 0 <= port <= 0xFFFF else self._bad(key, 0)


@lru_cache(maxsize=4096)
def _time_ns(stamp: Any) -> int:
    """parse_time, for stamps that come again: an exec and its start, parents."""
    return parse_time(stamp)


@lru_cache(maxsize=1024)
def _octal(permission: str) -> str:
    """`-rwsr-x---` is `4750`: s and S, t and T are set-id and sticky bits, capitals without execute."""
    if len(permission) != 10:
        return ""
    mode = 0
    for index, letter in enumerate(permission[1:]):
        if letter not in "-ST":
            mode |= 0o400 >> index
        if letter in "sStT":
            mode |= 0o4000 >> index // 3
    return f"{mode:04o}"


def credentials(facts: Facts) -> list[int]:
    """uid, gid, euid, egid, suid, sgid, fsuid, fsgid of an exec where they differ; else empty."""
    ids = facts.below("cred", list)
    if ids and len(ids) == 8 and all(map(is_count, ids)):
        return list(ids)
    return []


def login_uid(fields: Fields) -> int | None:
    """auid of a process; None when nobody logged in."""
    auid = fields.get("auid", UNSET_ID)
    return None if auid == UNSET_ID else auid


def milliseconds(stamp: str) -> int | None:
    """A time of the log in milliseconds since 1970; None when it is none."""
    try:
        return _time_ns(stamp) // 1_000_000
    except (ValueError, OverflowError):
        return None
