# SPDX-License-Identifier: Apache-2.0
"""Values that a hook's program read: by `enum value_type` of kprobes/include/policy.h, what the bytes are.

Nothing is made readable here: addresses, paths and names are bytes, numbers are the kernel's.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

(
    INTEGER, STRING, BUFFER, IOVEC, IOV_ITER, FILE, PATH, DENTRY, FD, KIOCB, BINPRM, SOCK, SOCKET, SKB,
    SOCKADDR, SOCKADDR_UN, CRED, USER_NS, CAPABILITY, CAP_SET, BPF_ATTR, BPF_PROG, BPF_MAP, PERF_EVENT,
    MODULE, LOAD_INFO, NET_DEVICE, SYSCALL, DATA_LOC, NOP,
) = range(1, 31)  # fmt: skip
"""enum value_type."""

SENT_PATH = Struct("=QIHHII")
SENT_SOCK = Struct("=3Q3H2B2I2H4x16s16s")
SENT_SKB = Struct("=4I4H16s16s2I")
SENT_SOCKADDR = Struct("=2H4x16s")
SENT_CRED = Struct("=8I4Q5I4x")
SENT_USER_NS = Struct("=4I")
SENT_BPF_ATTR = Struct("=2I16s")
SENT_BPF_MAP = Struct("=4I16s")
SENT_PERF_EVENT = Struct("=2QI4x64s")
SENT_MODULE = Struct("=QI4x64s")
_BUFFER = Struct("=2I")
_SYSCALL = Struct("=2I")
_FAMILY = Struct("=H")
_PATH_CUT, _PATH_UNREACHABLE = 1, 2
"""Bits of sent_path.flags."""
_PATH_AT = SENT_PATH.size
_UN_PATH_MOST = 108
"""UNIX_PATH_MAX, include/uapi/linux/un.h."""

_new = tuple.__new__  # see agent.decode.fork


class PathContent(NamedTuple):
    """A file: FILE, PATH, DENTRY, FD, KIOCB, BINPRM."""

    path: bytes
    """Root first. Of a DENTRY: inside its mount only."""
    mode: int
    """i_mode; 0 when there is no inode."""
    inode: int
    device: int
    """Kernel form: major << 20 | minor."""
    links: int
    """0: the file has no name any more."""
    is_cut: bool
    """The walk ended before the root."""
    is_unreachable: bool
    """Outside the process's root."""


class BufferContent(NamedTuple):
    """BUFFER, IOVEC, IOV_ITER."""

    wanted: int
    """Its whole length in bytes."""
    data: bytes


class SockContent(NamedTuple):
    """SOCK, SOCKET. Ports are in host byte order; an IPv4 address is the first four bytes of 16."""

    address: int
    """The kernel's address of the struct sock: never to be shown as it is."""
    owner: int
    """tgid << 32 | tid of the process that TrackSock noted, 0: none."""
    owner_ktime: int
    """image_ktime of the owner."""
    family: int
    type: int
    protocol: int
    state: int
    has_addresses: int
    mark: int
    priority: int
    sport: int
    dport: int
    saddr: bytes
    daddr: bytes


class SkbContent(NamedTuple):
    """A packet; ports and addresses as in SockContent."""

    hash: int
    length: int
    priority: int
    mark: int
    family: int
    protocol: int
    sport: int
    dport: int
    saddr: bytes
    daddr: bytes
    secpath_length: int
    secpath_olen: int


class SockaddrContent(NamedTuple):
    """struct sockaddr_in or sockaddr_in6."""

    family: int
    port: int
    """Host byte order."""
    address: bytes


class SockaddrUnContent(NamedTuple):
    """struct sockaddr_un."""

    family: int
    path: bytes
    """All of sun_path: an abstract name begins with NUL."""


class CredContent(NamedTuple):
    """struct cred."""

    uid: int
    gid: int
    suid: int
    sgid: int
    euid: int
    egid: int
    fsuid: int
    fsgid: int
    permitted: int
    effective: int
    inheritable: int
    ambient: int
    securebits: int
    user_ns: UserNsContent


class UserNsContent(NamedTuple):
    """struct user_namespace; level 0 is the host's."""

    level: int
    uid: int
    gid: int
    inum: int


class ProgramContent(NamedTuple):
    """A BPF program that is to be loaded, or is: BPF_ATTR, BPF_PROG."""

    type: int
    instructions: int
    name: bytes


class MapContent(NamedTuple):
    """struct bpf_map."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    name: bytes


class PerfEventContent(NamedTuple):
    """struct perf_event."""

    config: int
    probe_offset: int
    type: int
    function: bytes


class ModuleContent(NamedTuple):
    """MODULE, LOAD_INFO."""

    taints: int
    signature_ok: int
    """1, 0; 2: not known on this kernel."""
    name: bytes


class SyscallContent(NamedTuple):
    """A system call's number."""

    number: int
    is_compat: bool
    """By the 32-bit ABI."""


Content = (
    int | bytes | PathContent | BufferContent | SockContent | SkbContent | SockaddrContent | SockaddrUnContent
    | CredContent | UserNsContent | ProgramContent | MapContent | PerfEventContent | ModuleContent
    | SyscallContent
)  # fmt: skip


def _until_nul(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _integer(raw: bytes) -> int:
    return int.from_bytes(raw[:8], "little", signed=True)


def _path(raw: bytes) -> PathContent:
    inode, device, mode, flags, links, length = SENT_PATH.unpack_from(raw)
    path = raw[_PATH_AT : _PATH_AT + length]
    if b"\0" in path:
        path = _until_nul(path)
    cut = flags & _PATH_CUT != 0
    return _new(PathContent, (path, mode, inode, device, links, cut, flags & _PATH_UNREACHABLE != 0))


def _buffer(raw: bytes) -> BufferContent:
    wanted, sent = _BUFFER.unpack_from(raw)
    return BufferContent(wanted, raw[_BUFFER.size : _BUFFER.size + sent])


def _sockaddr_un(raw: bytes) -> SockaddrUnContent:
    return SockaddrUnContent(_FAMILY.unpack_from(raw)[0], raw[2 : 2 + _UN_PATH_MOST])


def _cred(raw: bytes) -> CredContent:
    values = SENT_CRED.unpack_from(raw)
    return CredContent._make((*values[:13], UserNsContent(*values[13:])))


def _program(raw: bytes) -> ProgramContent:
    kind, instructions, name = SENT_BPF_ATTR.unpack_from(raw)
    return ProgramContent(kind, instructions, _until_nul(name))


def _map(raw: bytes) -> MapContent:
    *numbers, name = SENT_BPF_MAP.unpack_from(raw)
    return MapContent._make((*numbers, _until_nul(name)))


def _perf_event(raw: bytes) -> PerfEventContent:
    *numbers, function = SENT_PERF_EVENT.unpack_from(raw)
    return PerfEventContent._make((*numbers, _until_nul(function)))


def _module(raw: bytes) -> ModuleContent:
    taints, signature_ok, name = SENT_MODULE.unpack_from(raw)
    return ModuleContent(taints, signature_ok, _until_nul(name))


def _syscall(raw: bytes) -> SyscallContent:
    number, abi = _SYSCALL.unpack_from(raw)
    return SyscallContent(number, bool(abi))


CONTENTS: dict[int, Callable[[bytes], Content]] = {
    INTEGER: _integer,
    STRING: _until_nul,
    DATA_LOC: _until_nul,
    NET_DEVICE: _until_nul,
    **dict.fromkeys((BUFFER, IOVEC, IOV_ITER), _buffer),
    **dict.fromkeys((FILE, PATH, DENTRY, FD, KIOCB, BINPRM), _path),
    **dict.fromkeys((SOCK, SOCKET), lambda raw: _new(SockContent, SENT_SOCK.unpack_from(raw))),
    SKB: lambda raw: SkbContent(*SENT_SKB.unpack_from(raw)),
    SOCKADDR: lambda raw: SockaddrContent(*SENT_SOCKADDR.unpack_from(raw)),
    SOCKADDR_UN: _sockaddr_un,
    CRED: _cred,
    USER_NS: lambda raw: UserNsContent(*SENT_USER_NS.unpack_from(raw)),
    CAPABILITY: _integer,
    CAP_SET: _integer,
    **dict.fromkeys((BPF_ATTR, BPF_PROG), _program),
    BPF_MAP: _map,
    PERF_EVENT: _perf_event,
    **dict.fromkeys((MODULE, LOAD_INFO), _module),
    SYSCALL: _syscall,
    NOP: lambda _raw: b"",
}
"""What a value's bytes hold, by type. Raises struct.error when they are too few."""
