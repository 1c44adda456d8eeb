# SPDX-License-Identifier: Apache-2.0
"""Values of hooks as arguments of events: for each type of the CRD the member of Tetragon's KprobeArgument
that it becomes, and how. Zero values are omitted inside of messages, as protojson does; the member itself is
always there.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any, NamedTuple

from orjson import dumps

from agent.decode import content as c
from agent.enrich.text import to_text
from agent.log.capabilities import capability_names, securebit_names
from agent.policy.names import (
    BPF_COMMANDS,
    FAMILIES,
    MAP_TYPES,
    PERF_TYPES,
    PROGRAM_TYPES,
    PROTOCOLS,
    SOCKET_TYPES,
    TCP_STATES,
    permission,
    taints,
)

UNRESOLVED = "unresolvedPathComponents"
"""Tetragon's word for a path whose walk ended before the root."""
_COOKIE_KEY = os.urandom(32)
"""Of this run: equal sockets have equal cookies as long as the agent runs, and no cookie tells an address."""
_ABI = {"x86_64": ("x64", "i386"), "aarch64": ("arm64", "arm32")}.get(os.uname().machine, ("", ""))
_PLAIN = re.compile(r"[ !#-\[\]-~]*").fullmatch
"""What stands in JSON as it is."""
_FILES = (c.FILE, c.PATH, c.DENTRY, c.FD, c.KIOCB, c.BINPRM)
_TEXTS = (c.STRING, c.DATA_LOC)
_BUFFERS = (c.BUFFER, c.IOVEC, c.IOV_ITER)
_SOCKS = (c.SOCK, c.SOCKET)

Convert = Callable[[Any], str]
"""Content, of the types that the row takes, to JSON."""


class Row(NamedTuple):
    """How a type of the CRD becomes an argument."""

    member: str
    """Of KprobeArgument: `int_arg`; empty: none (nop)."""
    convert: Convert
    takes: tuple[int, ...]
    """enum value_type: what it can convert."""
    null: str = "{}"
    """JSON of a null pointer."""
    is_common: bool = True
    """Whether equal bytes come again and again, so that their JSON is worth remembering."""


def text_of(raw: bytes) -> str:
    """JSON string; bytes that are not UTF-8 as U+FFFD."""
    text = to_text(raw)[0]
    return f'"{text}"' if _PLAIN(text) else dumps(text).decode()


def _narrowed(bits: int, *, signed: bool) -> Convert:
    """A number as a C cast to so many bits makes it."""
    mask, sign = (1 << bits) - 1, 1 << bits - 1
    if signed:
        return lambda number: str((number & mask ^ sign) - sign)
    return lambda number: str(number & mask)


def _compact(**members: object) -> str:
    """A message without its zero values."""
    return dumps({name: value for name, value in members.items() if value or value is False}).decode()


def _path(path: c.PathContent) -> str:
    text = f'"path":{text_of(path.path)},' if path.path else ""
    flags = f'"flags":"{UNRESOLVED}",' if path.is_cut else ""
    return f'{{{text}{flags}"permission":"{permission(path.mode)}"}}'


def _buffer(buffer: c.BufferContent) -> str:
    """bytes_arg; of what is cut the content of truncated_bytes_arg."""
    text = b64encode(buffer.data).decode()
    if buffer.wanted <= len(buffer.data):
        return f'"{text}"'
    whole = f'"orig_size":"{buffer.wanted}"'
    return f'{{"bytes_arg":"{text}",{whole}}}' if text else f"{{{whole}}}"


@lru_cache(maxsize=4096)
def address(family: int, raw: bytes) -> str:
    """An address as text; empty where the family has none that is known here."""
    if family == AF_INET:
        return inet_ntop(AF_INET, raw[:4])
    return inet_ntop(AF_INET6, raw) if family == AF_INET6 else ""


@lru_cache(maxsize=4096)
def cookie(kernel_address: int) -> int:
    """A number that stands for a kernel address and does not tell it."""
    digest = blake2b(kernel_address.to_bytes(8, "little"), digest_size=8, key=_COOKIE_KEY).digest()
    return int.from_bytes(digest, "little")


def _ends(end: c.SockContent | c.SkbContent) -> str:
    """saddr, daddr, sport, dport, each before a comma."""
    family, sport, dport = end.family, end.sport, end.dport
    source, target = address(family, end.saddr), address(family, end.daddr)
    if source and sport and dport:
        return f'"saddr":"{source}","daddr":"{target}","sport":{sport},"dport":{dport},'
    text = f'"saddr":"{source}",' if source else ""
    text += f'"daddr":"{target}",' if target else ""
    text += f'"sport":{sport},' if sport else ""
    return text + (f'"dport":{dport},' if dport else "")


def _sock(sock: c.SockContent) -> str:
    more = f'"mark":{sock.mark},' if sock.mark else ""
    more += f'"priority":{sock.priority},' if sock.priority else ""
    return (
        f'{{"family":"{FAMILIES[sock.family]}","type":"{SOCKET_TYPES[sock.type]}",'
        f'"protocol":"{PROTOCOLS[sock.protocol]}",{more}{_ends(sock)}'
        f'"cookie":"{cookie(sock.address)}","state":"{TCP_STATES[sock.state]}"}}'
    )


def _skb(skb: c.SkbContent) -> str:
    numbers = (("hash", skb.hash), ("len", skb.length), ("priority", skb.priority), ("mark", skb.mark))
    begin = "".join([f'"{name}":{number},' for name, number in numbers if number])
    more = (
        ("proto", skb.protocol),
        ("sec_path_len", skb.secpath_length),
        ("sec_path_olen", skb.secpath_olen),
    )
    end = "".join([f'"{name}":{number},' for name, number in more if number])
    names = f'"protocol":"{PROTOCOLS[skb.protocol]}","family":"{FAMILIES[skb.family]}"'
    return f"{{{begin}{_ends(skb)}{end}{names}}}"


def _sockaddr(sockaddr: c.SockaddrContent) -> str:
    family = sockaddr.family
    return _compact(family=FAMILIES[family], addr=address(family, sockaddr.address), port=sockaddr.port)


def _sockaddr_un(sockaddr: c.SockaddrUnContent) -> str:
    """A name in the file system up to its NUL; an abstract one (unix(7)) behind an @, without any NUL."""
    path = sockaddr.path
    plain = path.partition(b"\0")[0] or b"@" + path.replace(b"\0", b"")
    return _compact(family=FAMILIES[sockaddr.family], path=to_text(plain)[0] if plain != b"@" else "")


def _user_ns(ns: c.UserNsContent) -> dict[str, object]:
    inum: dict[str, object] = {"inum": ns.inum} if ns.inum else {}
    if not ns.level:
        inum["is_host"] = True
    return {"level": ns.level, "uid": ns.uid, "gid": ns.gid, "ns": inum}


def _cred(cred: c.CredContent) -> str:
    """As the credentials of a process: ids are wrapped numbers and stand there when they are 0."""
    ids = ("uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid")
    content: dict[str, object] = {name: getattr(cred, name) for name in ids}
    if cred.securebits:
        content["securebits"] = securebit_names(cred.securebits)
    sets = {name: capability_names(f"{getattr(cred, name):x}") for name in _CAPABILITY_SETS}
    content["caps"] = {name: names for name, names in sets.items() if names}
    content["user_ns"] = _user_ns(cred.user_ns)
    return dumps(content).decode()


_CAPABILITY_SETS = ("permitted", "effective", "inheritable")


def _capability(number: int) -> str:
    number = number & 0xFFFFFFFF
    names = capability_names(f"{1 << number:x}") if number < 64 else []
    value = number - (1 << 32) if number >> 31 else number
    return dumps({"value": value, "name": names[0]} if names else {"value": value}).decode()


def _program(program: c.ProgramContent) -> str:
    name = to_text(program.name)[0]
    return _compact(ProgType=PROGRAM_TYPES[program.type], InsnCnt=program.instructions, ProgName=name)


def _map(found: c.MapContent) -> str:
    return _compact(
        MapType=MAP_TYPES[found.type],
        KeySize=found.key_size,
        ValueSize=found.value_size,
        MaxEntries=found.max_entries,
        MapName=to_text(found.name)[0],
    )


def _perf_event(event: c.PerfEventContent) -> str:
    return _compact(
        KprobeFunc=to_text(event.function)[0],
        Type=PERF_TYPES[event.type],
        Config=str(event.config) if event.config else "",
        ProbeOffset=str(event.probe_offset) if event.probe_offset else "",
    )


def _module(module: c.ModuleContent) -> str:
    return _compact(name=to_text(module.name)[0], tainted=taints(module.taints))


def _load_info(module: c.ModuleContent) -> str:
    """A module that is being loaded; whether its signature is good is omitted where nobody knows."""
    known = {} if module.signature_ok > 1 else {"signature_ok": bool(module.signature_ok)}
    return _compact(name=to_text(module.name)[0], **known, tainted=taints(module.taints))


def _command(number: int) -> str:
    """protojson writes a number without a name as a number."""
    number &= 0xFFFFFFFF
    return f'"{BPF_COMMANDS[number]}"' if number in BPF_COMMANDS else str(number)


def _syscall(call: c.SyscallContent) -> str:
    return _compact(id=call.number, abi=_ABI[call.is_compat])


def _net_device(name: bytes) -> str:
    return _compact(name=to_text(name)[0])


_INTEGERS = (c.INTEGER, c.CAPABILITY, c.CAP_SET)
_int = [Row("int_arg", _narrowed(bits, signed=True), _INTEGERS, "0") for bits in (8, 16, 32)]
_uint = [Row("uint_arg", _narrowed(bits, signed=False), _INTEGERS, "0") for bits in (8, 16, 32)]
_size = Row("size_arg", lambda number: f'"{number & (1 << 64) - 1}"', _INTEGERS, '"0"')
_long = Row("long_arg", lambda number: f'"{number}"', _INTEGERS, '"0"')
_string = Row("string_arg", text_of, _TEXTS, '""')
_bytes = Row("bytes_arg", _buffer, _BUFFERS, '""', is_common=False)
_file = Row("file_arg", _path, _FILES)


def _caps(member: str) -> Row:
    """A set of capabilities: 16 hexadecimal digits."""
    return Row(member, lambda mask: f'"{mask & (1 << 64) - 1:016x}"', _INTEGERS, '"0000000000000000"')


ROWS: dict[str, Row] = {
    **dict.fromkeys(("int8", "sint8"), _int[0]),
    **dict.fromkeys(("int16", "sint16"), _int[1]),
    **dict.fromkeys(("int", "int32", "sint32"), _int[2]),
    "uint8": _uint[0],
    "uint16": _uint[1],
    "uint32": _uint[2],
    **dict.fromkeys(("uint64", "ulong", "size_t"), _size),
    **dict.fromkeys(("int64", "sint64", "long"), _long),
    **dict.fromkeys(("string", "filename", "data_loc"), _string),
    **dict.fromkeys(("char_buf", "const_buf", "char_iovec", "iov_iter"), _bytes),
    **dict.fromkeys(("file", "fd", "kiocb"), _file),
    **dict.fromkeys(("path", "dentry"), Row("path_arg", _path, _FILES)),
    "linux_binprm": Row("linux_binprm_arg", _path, _FILES),
    **dict.fromkeys(("sock", "socket"), Row("sock_arg", _sock, _SOCKS, is_common=False)),
    "skb": Row("skb_arg", _skb, (c.SKB,), is_common=False),
    "sockaddr": Row("sockaddr_arg", _sockaddr, (c.SOCKADDR,)),
    "sockaddr_un": Row("sockaddrun_arg", _sockaddr_un, (c.SOCKADDR_UN,)),
    "net_device": Row("net_dev_arg", _net_device, (c.NET_DEVICE, c.STRING)),
    "cred": Row("process_credentials_arg", _cred, (c.CRED,)),
    "user_namespace": Row("user_ns_arg", lambda ns: dumps(_user_ns(ns)).decode(), (c.USER_NS,)),
    "capability": Row("capability_arg", _capability, _INTEGERS),
    "kernel_cap_t": _caps("kernel_cap_t_arg"),
    "cap_inheritable": _caps("cap_inheritable_arg"),
    "cap_permitted": _caps("cap_permitted_arg"),
    "cap_effective": _caps("cap_effective_arg"),
    "bpf_attr": Row("bpf_attr_arg", _program, (c.BPF_ATTR, c.BPF_PROG)),
    "bpf_prog": Row("bpf_prog_arg", _program, (c.BPF_ATTR, c.BPF_PROG)),
    "bpf_map": Row("bpf_map_arg", _map, (c.BPF_MAP,)),
    "bpf_cmd": Row("bpf_cmd_arg", _command, _INTEGERS, '"BPF_MAP_CREATE"'),
    "perf_event": Row("perf_event_arg", _perf_event, (c.PERF_EVENT,)),
    "module": Row("module_arg", _module, (c.MODULE, c.LOAD_INFO)),
    "load_info": Row("module_arg", _load_info, (c.MODULE, c.LOAD_INFO)),
    "syscall64": Row("syscall_id", _syscall, (c.SYSCALL,)),
    "nop": Row("", lambda _content: "", (c.NOP,)),
}
"""By type of the CRD. `auto` is not among them: the plan says what it stands for here."""

_BY_VALUE = {
    c.INTEGER: "int64", c.STRING: "string", c.BUFFER: "char_buf", c.IOVEC: "char_iovec",
    c.IOV_ITER: "iov_iter", c.FILE: "file", c.PATH: "path", c.DENTRY: "dentry", c.FD: "fd", c.KIOCB: "kiocb",
    c.BINPRM: "linux_binprm", c.SOCK: "sock", c.SOCKET: "socket", c.SKB: "skb", c.SOCKADDR: "sockaddr",
    c.SOCKADDR_UN: "sockaddr_un", c.CRED: "cred", c.USER_NS: "user_namespace", c.CAPABILITY: "capability",
    c.CAP_SET: "kernel_cap_t", c.BPF_ATTR: "bpf_attr", c.BPF_PROG: "bpf_prog", c.BPF_MAP: "bpf_map",
    c.PERF_EVENT: "perf_event", c.MODULE: "module", c.LOAD_INFO: "load_info", c.NET_DEVICE: "net_device",
    c.SYSCALL: "syscall64", c.DATA_LOC: "data_loc", c.NOP: "nop",
}  # fmt: skip


def row_of(crd_type: str, value_type: int) -> Row:
    """The row of a type; for one that is not in the table, that of the value as it is read."""
    return ROWS.get(crd_type) or ROWS[_BY_VALUE.get(value_type, "int64")]
