# SPDX-License-Identifier: Apache-2.0
"""Types of arguments as the CRD names them: what they are folded to, hold, and which operators fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_TEXT = "Equal NotEqual Prefix NotPrefix Postfix NotPostfix SubString SubStringIgnCase Regex NotRegex"
_PORTS = "SPort NotSPort SPortPriv NotSPortPriv DPort NotDPort DPortPriv NotDPortPriv"
_INTEGER = "Equal NotEqual GT LT Mask InMap NotInMap InRange NotInRange"

OPERATORS: Mapping[str, frozenset[str]] = {
    group: frozenset(names.split())
    for group, names in {
        "integer": _INTEGER,
        "text": _TEXT,
        "path": f"{_TEXT} FileType NotFileType",
        "sock": f"{_PORTS} SAddr NotSAddr DAddr NotDAddr Protocol Family State",
        "skb": f"{_PORTS} SAddr NotSAddr DAddr NotDAddr Protocol Family",
        "sockaddr": "SPort NotSPort SPortPriv NotSPortPriv SAddr NotSAddr Family",
        "sockaddr_un": f"Family {_TEXT}",
        "capabilities": "Equal NotEqual Mask CapabilitiesGained",
        "none": "",
    }.items()
}
"""By group of types. `auto` takes what the type takes that BTF tells."""

SYNONYMS: Mapping[str, str] = {"GreaterThan": "GT", "LessThan": "LT", "NotSportPriv": "NotSPortPriv"}
"""Operators with two names."""
LATER: Mapping[str, str] = {"CelExpr": "expressions"}
"""Operators that are not run yet."""
ALL_OPERATORS = frozenset(name for names in OPERATORS.values() for name in names)
WITHOUT_VALUES = frozenset({"SPortPriv", "NotSPortPriv", "DPortPriv", "NotDPortPriv"})
"""Ports below 1024 (Linux PROT_SOCK, include/net/sock.h): nothing to compare with."""


class Type(NamedTuple):
    """One type, normalised."""

    name: str
    group: str
    """Key of OPERATORS, or `auto`."""
    low: int = 0
    """Integers: least and greatest value."""
    high: int = 0


def _integers() -> dict[str, Type]:
    found = {}
    for bits in (8, 16, 32, 64):
        half = 1 << bits - 1
        found[f"int{bits}"] = Type(f"int{bits}", "integer", -half, half - 1)
        found[f"uint{bits}"] = Type(f"uint{bits}", "integer", 0, 2 * half - 1)
    return found


_GROUPS = {
    "text": "string filename char_buf char_iovec const_buf iov_iter data_loc net_device",
    "path": "fd file path dentry kiocb linux_binprm",
    "sock": "sock socket",
    "skb": "skb",
    "sockaddr": "sockaddr",
    "sockaddr_un": "sockaddr_un",
    "none": "nop bpf_attr bpf_prog bpf_map perf_event module load_info user_namespace cred",
}

TYPES: Mapping[str, Type] = (
    _integers()
    | {name: Type(name, group) for group, names in _GROUPS.items() for name in names.split()}
    | {
        name: Type(name, "capabilities", 0, (1 << 64) - 1)
        for name in ("kernel_cap_t", "cap_inheritable", "cap_permitted", "cap_effective")
    }
    | {
        "capability": Type("capability", "integer", 0, 63),
        "bpf_cmd": Type("bpf_cmd", "integer", 0, (1 << 31) - 1),
        "syscall64": Type("syscall64", "integer", 0, (1 << 64) - 1),
        "auto": Type("auto", "auto", -(1 << 63), (1 << 64) - 1),
    }
)
"""Normalised types. A system call's number is an integer, with COMPAT (syscalls.py) for the 32-bit ABI."""

FOLDED: Mapping[str, str] = {
    "int": "int32",
    "sint8": "int8",
    "sint16": "int16",
    "sint32": "int32",
    "sint64": "int64",
    "long": "int64",
    "ulong": "uint64",
    "size_t": "uint64",
}
"""Synonyms: what the CRD's enum has twice."""

BUFFERS = frozenset({"char_buf", "char_iovec", "const_buf"})
"""Types whose length stands in another argument."""
LARGE = frozenset({"char_buf", "char_iovec", "const_buf", "iov_iter"})
"""Types that maxData makes longer."""
SOCKETS = frozenset({"sock", "socket"})
"""Types that TrackSock follows."""


def find_type(name: str) -> Type | None:
    """The type of a name of the CRD; None when there is none."""
    return TYPES.get(FOLDED.get(name, name))


def operators_of(group: str) -> frozenset[str]:
    """What fits a group of types."""
    return ALL_OPERATORS if group == "auto" else OPERATORS[group]
