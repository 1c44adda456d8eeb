# SPDX-License-Identifier: Apache-2.0
"""A record of the log → the views that rules ask: which it has, and what each adds to its process.

An exec is a `process_creation` and five audit records (SYSCALL, EXECVE, PATH, PROCTITLE, CWD). An event of a
policy is `policy`; by the function it is also `file_event`, `file_access`, `file_delete`, `file_rename`,
`network_connection`, `dns_query`, and the audit records SYSCALL and, with a file, PATH. Every view of a
record is asked for itself, as the records of auditd are.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from ipaddress import IPv6Address
from typing import Any, NamedTuple

from agent.detect.deeds import deed_of, syscalls_of
from agent.detect.dns import question_in
from agent.detect.sources import Subject, Value

AUDIT_TYPED = ("auditd/PROCTITLE", "auditd/CWD")
"""Records with nothing that the others lack: asked by rules that name a type."""
AUDIT_EXEC = ("auditd/SYSCALL", "auditd/EXECVE", "auditd/PATH", *AUDIT_TYPED)
EXEC_VIEWS = ("process_creation", *AUDIT_EXEC)
VIEWS = (
    "process_creation", "process_termination", "policy", "file_event", "file_access", "file_delete",
    "file_rename", "network_connection", "dns_query", *AUDIT_EXEC,
)  # fmt: skip
"""All of them; those of auditd by the type of the audit record."""
FMODE_WRITE = 2
"""Linux, include/linux/fs.h"""
AUDIT_ARGUMENTS = 64
"""Arguments that rules can ask by number."""

Extra = Mapping[str, Value]


class Seen(NamedTuple):
    """One view of a record."""

    view: str
    subject: Subject


def views_of_exec(subject: Subject, wanted: frozenset[str]) -> Iterator[Seen]:
    """Of an exec: those that are wanted."""
    for view in EXEC_VIEWS:
        if view in wanted:
            yield Seen(view, seen_of_exec(subject, view))


def seen_of_exec(subject: Subject, view: str) -> Subject:
    """An exec as one of EXEC_VIEWS."""
    return subject if view == "process_creation" else subject.seen_as(_AUDIT_OF_EXEC[view](subject))


def views_of_call(call: Call, wanted: frozenset[str]) -> Iterator[Seen]:
    """Of an event of a policy: those that are wanted."""
    for view in _views_of(call):
        if view in wanted:
            yield Seen(view, call.subject.seen_as(call.extra(view)))


def _views_of(call: Call) -> Iterator[str]:
    deed = call.deed
    yield "policy"
    if deed == "file_open":
        yield "file_access"
    if deed in ("file_write", "file_create", "file_rename") or (deed == "file_open" and call.is_write):
        yield "file_event"
    if deed in ("file_delete", "file_rename"):
        yield deed
    if deed in ("connect", "accept"):
        yield "network_connection"
    if call.question:
        yield "dns_query"
    yield "auditd/SYSCALL"
    if call.path:
        yield "auditd/PATH"


class Call:
    """An event of a policy, taken apart."""

    def __init__(self, subject: Subject, function: str) -> None:
        self.function = function
        self.deed = deed_of(function)
        event = subject.event
        arguments = [*_list(event.get("args")), *_list(event.get("data"))]
        self.arguments = [one for one in arguments if type(one) is dict]
        self.labels = {str(one["label"]): one for one in self.arguments if one.get("label")}
        self.path = _path_of(self.arguments, self.labels)
        self.result = _number(event.get("return"))
        self.subject = subject

    @property
    def is_write(self) -> bool:
        """Whether a file was opened for writing: the policy reads `f_mode` as `mode`, or flags say it."""
        mode = _number(self.labels.get("mode"))
        if mode is not None:
            return bool(mode & FMODE_WRITE)
        flags = _number(self.labels.get("flags"))
        return flags is not None and bool(flags & 3)  # O_WRONLY, O_RDWR: include/uapi/asm-generic/fcntl.h

    @cached_property
    def question(self) -> tuple[str, str] | None:
        """The name and type that a DNS message asks for."""
        for one in self.arguments:
            data = _bytes(one)
            question = question_in(data) if data else None
            if question is not None:
                return question
        return None

    def extra(self, view: str) -> Extra:
        """What a view adds to the process."""
        if view.startswith("auditd"):
            return self._audit(view)
        texts = {f"argument {index}": _shown(one) for index, one in enumerate(self.arguments)}
        texts.update({f"argument {label}": _shown(one) for label, one in self.labels.items()})
        return {
            **texts,
            **self._socket(),
            "function": self.function,
            "path": self.path,
            "path_name": self.path.rpartition("/")[2] if self.path else None,
            "old_path": _source_of(self.labels),
            "initiated": "false" if self.deed == "accept" else "true",
            "hostname": self.subject.extra.get("hostname"),
            **self._dns(view),
        }

    def _dns(self, view: str) -> Extra:
        question = self.question if view == "dns_query" else None
        return {"query_name": question[0], "query_type": question[1]} if question else {}

    def _socket(self) -> Extra:
        """Addresses: of a socket, or of an address that is passed beside it."""
        found: dict[str, Value] = {}
        for one in self.arguments:
            sock = one.get("sock_arg") or one.get("skb_arg")
            if type(sock) is dict:
                pairs = {
                    "source_ip": "saddr",
                    "source_port": "sport",
                    "destination_ip": "daddr",
                    "destination_port": "dport",
                }
                found.update({name: _address(sock.get(key)) for name, key in pairs.items() if sock.get(key)})
                found["protocol"] = _protocol(sock.get("protocol"))
            address = one.get("sockaddr_arg")
            if type(address) is dict and address.get("addr"):
                found["destination_ip"] = _address(address["addr"])
                found["destination_port"] = _plain(address.get("port"))
        ip = found.get("destination_ip")
        if ip:
            found["is_ipv6"] = "true" if ":" in ip else "false"
        return found

    def _audit(self, view: str) -> Extra:
        success = None if self.result is None else "no" if self.result < 0 else "yes"
        if view == "auditd/PATH":
            kinds = {"file_create": "CREATE", "file_delete": "DELETE", "file_rename": "CREATE"}
            return {"record_type": "PATH", "path": self.path, "name_type": kinds.get(self.deed, "NORMAL")}
        numbers = {f"a{index}": _hexadecimal(one) for index, one in enumerate(self.arguments[:4])}
        calls = syscalls_of(self.function)
        return {
            "record_type": "SYSCALL",
            "syscall": calls[0] if len(calls) == 1 else calls or None,
            "success": success or "yes",
            **numbers,
        }


def _audit_syscall(subject: Subject) -> Extra:
    """An exec is told when it worked."""
    return {
        "record_type": "SYSCALL",
        "syscall": "execve",
        "success": "yes",
        "audit_key": subject.extra.get("audit_key"),
    }


def _audit_execve(subject: Subject) -> Extra:
    arguments = subject.known.own.get("arguments")
    extra: dict[str, Value] = {"record_type": "EXECVE"}
    if type(arguments) is list:
        for index, argument in enumerate(arguments[:AUDIT_ARGUMENTS]):
            extra[f"a{index}"] = audited(argument) if type(argument) is str else None
    return extra


def _audit_path(subject: Subject) -> Extra:
    images = subject.known.images
    return {"record_type": "PATH", "path": images[-1] if images else None, "name_type": "NORMAL"}


_AUDIT_OF_EXEC: Mapping[str, Callable[[Subject], Extra]] = {
    "auditd/SYSCALL": _audit_syscall,
    "auditd/EXECVE": _audit_execve,
    "auditd/PATH": _audit_path,
    "auditd/PROCTITLE": lambda _subject: {"record_type": "PROCTITLE"},
    "auditd/CWD": lambda _subject: {"record_type": "CWD"},
}


def audited(argument: str) -> Value:
    """An argument as auditd's tools show it and, where the record has hexadecimal digits, those as well:
    rules are written for both. It has them for a quotation mark and for whatever is not in "!" to "~".
    Linux, kernel/audit.c: audit_string_contains_control()"""
    if argument.isascii() and argument.isprintable() and '"' not in argument and " " not in argument:
        return argument
    return argument, argument.encode("utf-8", "replace").hex().upper()


def _list(value: object) -> list[Any]:
    return value if type(value) is list else []


def _plain(value: object) -> str | None:
    if type(value) is str:
        return value or None
    return str(value) if type(value) is int else None


def _address(value: object) -> str | None:
    """An address or a port. IPv4 in IPv6 (`::ffff:192.0.2.1`) is IPv4: the kernel shows connections of IPv6
    sockets so, and who asks for 192.0.2.1 means both."""
    text = _plain(value)
    if text is None or not text.startswith("::ffff:"):
        return text
    try:
        return str(IPv6Address(text).ipv4_mapped or text)
    except ValueError:
        return text


_PATHS = ("file_arg", "path_arg", "linux_binprm_arg")


def _own_path(argument: object) -> str | None:
    if type(argument) is dict:
        for member in _PATHS:
            said = argument.get(member)
            if type(said) is dict:
                return _plain(said.get("path"))
    return None


def _path_of(arguments: list[dict[str, Any]], labels: Mapping[str, Any]) -> str | None:
    """The file that a call is about: docs/detections.md, TargetFilename."""
    name = _own_path(labels.get("name"))
    if name:
        for above in ("into", "directory"):
            directory = _own_path(labels.get(above))
            if directory:
                return f"{directory.rstrip('/')}/{name.rpartition('/')[2]}"
    for argument in arguments:
        path = _own_path(argument)
        if path:
            return path
    texts = (argument.get("string_arg") for argument in arguments)
    return next((text for text in texts if type(text) is str and text.startswith("/")), None)


def _source_of(labels: Mapping[str, Any]) -> str | None:
    """What was renamed or linked: `from`, or `old`."""
    return _own_path(labels.get("old")) or _own_path(labels.get("from"))


def _number(argument: object) -> int | None:
    if type(argument) is not dict:
        return None
    for member in ("int_arg", "uint_arg", "long_arg", "size_arg", "int64_arg"):
        value = argument.get(member)
        if type(value) is int:
            return value
        if type(value) is str and value.removeprefix("-").isdecimal() and len(value) <= 21:
            return int(value)
    return None


def _hexadecimal(argument: dict[str, Any]) -> str | None:
    """As auditd writes arguments of system calls: Linux, kernel/auditsc.c: audit_log_exit(), "a0=%lx"."""
    number = _number(argument)
    return None if number is None else f"{number & 0xFFFFFFFFFFFFFFFF:x}"


def _shown(argument: dict[str, Any]) -> Value:
    """An argument as text, whatever its type."""
    path = _own_path(argument)
    if path is not None:
        return path
    number = _number(argument)
    if number is not None:
        return str(number)
    for member, said in argument.items():
        if member == "label":
            continue
        if type(said) is str:
            return said or None
        if type(said) is dict:
            texts = tuple(text for value in said.values() if (text := _plain(value)))
            return texts[0] if len(texts) == 1 else texts or None
        if type(said) in (int, bool):
            return str(said).lower()
    return None


def _protocol(value: object) -> str | None:
    return value.removeprefix("IPPROTO_").lower() if type(value) is str and value else None


def _bytes(argument: dict[str, Any]) -> bytes:
    """The content of a buffer, as far as the event has it."""
    said = argument.get("bytes_arg")
    cut = argument.get("truncated_bytes_arg")
    if type(cut) is dict:
        said = cut.get("bytes_arg")
    if type(said) is not str:
        return b""
    try:
        return base64.b64decode(said)
    except (binascii.Error, ValueError):
        return b""
