# SPDX-License-Identifier: Apache-2.0
"""Questions to BTF: does a type, member, function or tracepoint argument exist in this kernel; which layout
does a struct have in our own object.

Format: Linux Documentation/bpf/btf.rst. Existence is asked, never a kernel version.
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from agent.errors import KernelUnsupported
from agent.kernel.libbpf import libbpf

KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_ENUM = 1, 2, 3, 4, 5, 6
KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_FUNC, KIND_FUNC_PROTO = 8, 9, 10, 11, 12, 13
KIND_ENUM64 = 19


class _Type(ctypes.Structure):
    _fields_ = (
        ("name_off", ctypes.c_uint32),
        ("info", ctypes.c_uint32),
        ("size_or_type", ctypes.c_uint32),
    )


class Member(NamedTuple):
    """One member of a struct."""

    name: str
    type_id: int
    offset: int
    """Offset in bytes (of the enclosing byte for a bit field)."""


class Btf:
    """A BTF of the kernel or of an object. Not owned when it comes from an object."""

    def __init__(self, handle: int, owned: bool) -> None:
        self._handle = handle
        self._owned = owned

    @classmethod
    def of_kernel(cls) -> Btf:
        """The running kernel's types. Raises KernelUnsupported where it was built without BTF."""
        handle = libbpf().btf__load_vmlinux_btf()
        if not handle:
            raise KernelUnsupported(
                "this kernel has no BTF (/sys/kernel/btf/vmlinux)",
                "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y; every current distribution kernel is",
            )
        return cls(handle, owned=True)

    def close(self) -> None:
        """Frees the kernel's BTF (about 6 MB)."""
        if self._owned and self._handle:
            libbpf().btf__free(self._handle)
            self._handle = 0

    def __enter__(self) -> Btf:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def find(self, name: str, kind: int) -> int:
        """Type id, or 0."""
        found: int = libbpf().btf__find_by_name_kind(self._handle, name.encode(), kind)
        return max(found, 0)

    def has_function(self, name: str) -> bool:
        """Whether the kernel has this function (or kfunc) in its BTF."""
        return self.find(name, KIND_FUNC) > 0

    def has_struct(self, name: str) -> bool:
        """Whether this struct exists."""
        return self.find(name, KIND_STRUCT) > 0

    def has_type(self, name: str) -> bool:
        """Whether this typedef exists."""
        return self.find(name, KIND_TYPEDEF) > 0

    def has_tracepoint(self, name: str) -> bool:
        """Whether a raw tracepoint of this name can be attached with BTF."""
        return self.find(f"btf_trace_{name}", KIND_TYPEDEF) > 0

    def tracepoint_arguments(self, name: str) -> int:
        """Number of arguments of a raw tracepoint, 0 when there is none of that name."""
        typedef = self.find(f"btf_trace_{name}", KIND_TYPEDEF)
        if not typedef:
            return 0
        pointer = self._type(typedef).size_or_type
        prototype = self._type(self._type(pointer).size_or_type)
        members: int = prototype.info & 0xFFFF
        return members - 1  # the first is the probe's own data

    def members(self, struct: str) -> list[Member]:
        """Members of a struct in order. Raises KeyError when it does not exist."""
        type_id = self.find(struct, KIND_STRUCT)
        if not type_id:
            raise KeyError(struct)
        address = libbpf().btf__type_by_id(self._handle, type_id)
        head = _Type.from_address(address)
        table = ((ctypes.c_uint32 * 3) * (head.info & 0xFFFF)).from_address(address + ctypes.sizeof(_Type))
        bit_fields = bool(head.info >> 31)
        return [
            Member(self._name(name), kind, ((offset & 0xFFFFFF) if bit_fields else offset) // 8)
            for name, kind, offset in table
        ]

    def size(self, struct: str) -> int:
        """Size of a struct in bytes. Raises KeyError when it does not exist."""
        type_id = self.find(struct, KIND_STRUCT)
        if not type_id:
            raise KeyError(struct)
        return int(self._type(type_id).size_or_type)

    def enum_value(self, enum: str, name: str) -> int | None:
        """Value of an enumerator, or None."""
        type_id = self.find(enum, KIND_ENUM)
        if not type_id:
            return None
        address = libbpf().btf__type_by_id(self._handle, type_id)
        head = _Type.from_address(address)
        table = ((ctypes.c_uint32 * 2) * (head.info & 0xFFFF)).from_address(address + ctypes.sizeof(_Type))
        return next((int(value) for offset, value in table if self._name(offset) == name), None)

    def _type(self, type_id: int) -> _Type:
        return _Type.from_address(libbpf().btf__type_by_id(self._handle, type_id))

    def _name(self, offset: int) -> str:
        name: bytes = libbpf().btf__name_by_offset(self._handle, offset)
        return name.decode()
