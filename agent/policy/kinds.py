# SPDX-License-Identifier: Apache-2.0
"""Types of arguments in policies: how each is read, and which C types it fits."""

from __future__ import annotations

from typing import NamedTuple

from agent.kernel.btf import Btf
from agent.kernel.shapes import CType, begins_with
from agent.policy.values import ValueType


class Kind(NamedTuple):
    """One type of the CRD."""

    value: ValueType
    size: int = 8
    """Bytes of an integer."""
    is_signed: bool = False
    tags: tuple[str, ...] = ()
    """What its pointer refers to; the first one is the usual. Empty: an integer, or anything."""


_BYTES = ("char", "unsigned char", "signed char", "u8", "void")
_ADDRESSES = (
    "sockaddr", "sockaddr_storage", "__kernel_sockaddr_storage", "sockaddr_unsized", "sockaddr_in",
    "sockaddr_in6", "sockaddr_un",
)  # fmt: skip
_CAPABILITIES = Kind(ValueType.CAP_SET, tags=("kernel_cap_t", "kernel_cap_struct"))

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("int8", "sint8"), Kind(ValueType.INTEGER, 1, True)),
    **dict.fromkeys(("int16", "sint16"), Kind(ValueType.INTEGER, 2, True)),
    **dict.fromkeys(("int", "int32", "sint32"), Kind(ValueType.INTEGER, 4, True)),
    **dict.fromkeys(("int64", "sint64", "long"), Kind(ValueType.INTEGER, 8, True)),
    "uint8": Kind(ValueType.INTEGER, 1),
    "uint16": Kind(ValueType.INTEGER, 2),
    "uint32": Kind(ValueType.INTEGER, 4),
    **dict.fromkeys(("uint64", "ulong", "size_t"), Kind(ValueType.INTEGER, 8)),
    "capability": Kind(ValueType.CAPABILITY, 4, True),
    "fd": Kind(ValueType.FD, 4, True),
    "bpf_cmd": Kind(ValueType.INTEGER, 4),
    "syscall64": Kind(ValueType.SYSCALL, 8),
    "nop": Kind(ValueType.NOP),
    "string": Kind(ValueType.STRING, tags=_BYTES),
    "filename": Kind(ValueType.STRING, tags=("filename", *_BYTES)),
    "data_loc": Kind(ValueType.DATA_LOC),
    **dict.fromkeys(("char_buf", "const_buf"), Kind(ValueType.BUFFER, tags=("void", "char"))),
    "char_iovec": Kind(ValueType.IOVEC, tags=("iovec", "void")),
    "iov_iter": Kind(ValueType.IOV_ITER, tags=("iov_iter",)),
    "file": Kind(ValueType.FILE, tags=("file",)),
    "path": Kind(ValueType.PATH, tags=("path",)),
    "dentry": Kind(ValueType.DENTRY, tags=("dentry",)),
    "kiocb": Kind(ValueType.KIOCB, tags=("kiocb",)),
    "linux_binprm": Kind(ValueType.BINPRM, tags=("linux_binprm",)),
    "sock": Kind(ValueType.SOCK, tags=("sock", "sock_common")),
    "socket": Kind(ValueType.SOCKET, tags=("socket",)),
    "skb": Kind(ValueType.SKB, tags=("sk_buff",)),
    "sockaddr": Kind(ValueType.SOCKADDR, tags=_ADDRESSES),
    "sockaddr_un": Kind(ValueType.SOCKADDR_UN, tags=_ADDRESSES),
    "cred": Kind(ValueType.CRED, tags=("cred",)),
    "user_namespace": Kind(ValueType.USER_NS, tags=("user_namespace",)),
    **dict.fromkeys(("kernel_cap_t", "cap_inheritable", "cap_permitted", "cap_effective"), _CAPABILITIES),
    "bpf_attr": Kind(ValueType.BPF_ATTR, tags=("bpf_attr",)),
    "bpf_prog": Kind(ValueType.BPF_PROG, tags=("bpf_prog",)),
    "bpf_map": Kind(ValueType.BPF_MAP, tags=("bpf_map",)),
    "perf_event": Kind(ValueType.PERF_EVENT, tags=("perf_event",)),
    "module": Kind(ValueType.MODULE, tags=("module",)),
    "load_info": Kind(ValueType.LOAD_INFO, tags=("load_info",)),
    "net_device": Kind(ValueType.NET_DEVICE, tags=("net_device",)),
}
"""By the CRD's type; `auto` is none of them."""

_INTEGERS = {
    (size, is_signed): f"{'' if is_signed else 'u'}int{8 * size}"
    for size in (1, 2, 4, 8)
    for is_signed in (True, False)
}
_OBJECTS = {
    kind.tags[0]: name for name, kind in reversed(KINDS.items()) if kind.tags and kind.tags[0] not in _BYTES
}
"""The type for a pointer to a struct of this name."""
_TEXTS = ("char", "unsigned char")


class Fit(NamedTuple):
    """How a type suits what is there."""

    is_possible: bool
    doubt: str = ""
    """Why it may not be what was meant, or why it is impossible."""
    hint: str = ""


FITS = Fit(True)


def is_number(kind: Kind) -> bool:
    """Whether the value itself is read, and no memory behind it."""
    return not kind.tags and kind.value != ValueType.DATA_LOC


def automatic(there: CType) -> str:
    """The type for what is there, empty where there is none."""
    if there.form == "integer":
        return _INTEGERS.get((there.size, there.is_signed), "")
    if there.form == "pointer":
        if there.depth == 1 and there.tag in _TEXTS:
            return "string"
        return _OBJECTS.get(there.tag, "uint64") if there.depth == 1 else "uint64"
    if there.form == "array" and there.tag in _TEXTS:
        return "string"
    if there.form == "struct":
        # kuid_t, atomic_t and their like are an integer in a struct
        return _OBJECTS.get(there.tag) or _INTEGERS.get((there.size, False), "")
    return ""


def fit(kind: Kind, name: str, there: CType, btf: Btf) -> Fit:
    """Whether a value of type `name` can be read from what is there."""
    if kind.value == ValueType.NOP:
        return FITS
    if is_number(kind):
        return _fit_number(name, there)
    if not kind.tags:
        return Fit(False, f"is `{there.text}`, not a {name}", _instead(there))
    if there.form == "integer" and there.size == 8:
        return Fit(True, f"`{there.text}` is taken for the address of a {name}")
    same = there.tag in kind.tags or begins_with(btf, there.target, kind.tags[0])
    if there.form == "pointer" and there.depth == 1:
        if same or kind.value == ValueType.BUFFER:
            return FITS
        if there.tag == "void" or not there.tag:
            return Fit(True, f"`{there.text}` is taken for the address of a {name}")
    if there.form in ("struct", "array") and same:
        return FITS
    return Fit(False, f"is `{there.text}`, not a {name}", _instead(there))


def _fit_number(name: str, there: CType) -> Fit:
    if there.form == "integer" or (there.form == "struct" and there.size in (1, 2, 4, 8)):
        return FITS
    if there.form == "pointer":
        return Fit(True, f"`{there.text}` is read as {name}: its address, not what it refers to")
    return Fit(False, f"is `{there.text}`, not {name}", _instead(there))


def _instead(there: CType) -> str:
    found = automatic(there)
    return f"type: {found} suits it" if found else ""
