# SPDX-License-Identifier: Apache-2.0
"""Questions to BTF: does a type, member, function or tracepoint argument exist in this kernel; which layout
does a struct have in our own object.

Format: Linux Documentation/bpf/btf.rst. Existence is asked, never a kernel version.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from agent.errors import KernelUnsupported
from agent.kernel.libbpf import libbpf
from agent.kernel.typenames import types_of_kind

KIND_INT, KIND_PTR, KIND_ARRAY, KIND_STRUCT, KIND_UNION, KIND_ENUM = 1, 2, 3, 4, 5, 6
KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_FUNC, KIND_FUNC_PROTO = 8, 9, 10, 11, 12, 13
KIND_FWD, KIND_FLOAT, KIND_DECL_TAG, KIND_TYPE_TAG, KIND_ENUM64 = 7, 16, 17, 18, 19
_WRAPPERS = frozenset((KIND_TYPEDEF, KIND_VOLATILE, KIND_CONST, KIND_RESTRICT, KIND_TYPE_TAG))
"""Kinds that say something of another type and have its layout."""
_KERNEL = Path("/sys/kernel/btf/vmlinux")
_OFTEN = 100
"""Questions that take as long as to read all names of a kind (30 ms)."""
_SIGNED = 1
"""BTF_INT_SIGNED, linux/btf.h."""


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
    bits: int = 0
    """Width of a bit field, 0 for others."""
    first_bit: int = 0
    """Of a bit field, within the enclosing byte."""


class Named(NamedTuple):
    """A parameter of a function."""

    name: str
    """Empty where there is none, as for what stands for `...`."""
    type_id: int
    """0: `void`, or `...`."""


class Btf:
    """A BTF of the kernel or of an object. Not owned when it comes from an object."""

    def __init__(self, handle: int, owned: bool, raw: Path | None = None) -> None:
        """`raw`: a file with the same types, for many questions."""
        self._handle = handle
        self._owned = owned
        self._raw = raw
        self._asked: Counter[int] = Counter()
        self._by_name: dict[int, dict[bytes, int]] = {}
        """By kind, once it was asked for often."""

    @classmethod
    def of_kernel(cls) -> Btf:
        """The running kernel's types. Raises KernelUnsupported where it was built without BTF."""
        handle = libbpf().btf__load_vmlinux_btf()
        if not handle:
            raise KernelUnsupported(
                "this kernel has no BTF (/sys/kernel/btf/vmlinux)",
                "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y; every current distribution kernel is",
            )
        return cls(handle, owned=True, raw=_KERNEL if _KERNEL.exists() else None)

    @classmethod
    def of_file(cls, path: Path, base: Btf | None = None) -> Btf:
        """Types in a raw file, as in /sys/kernel/btf: of the kernel, or of a module on top of the kernel's
        (`base`, which must live longer). Raises KernelUnsupported where there is none."""
        handle = libbpf().btf__parse_split(str(path).encode(), base._handle if base else None)
        if not handle:
            raise KernelUnsupported(f"no types in {path}")
        return cls(handle, owned=True)

    @classmethod
    def of_module(cls, number: int, kernel: Btf) -> Btf:
        """The types of the BTF with this number on top of the kernel's. Empty when it went, or builds on
        others: then it is false and finds nothing."""
        handle = libbpf().btf__load_from_kernel_by_id_split(number, kernel._handle)
        return cls(handle or 0, owned=True)

    def __bool__(self) -> bool:
        return bool(self._handle)

    def close(self) -> None:
        """Frees the kernel's BTF (about 6 MB)."""
        if self._owned and self._handle:
            libbpf().btf__free(self._handle)
            self._handle = 0
        self._by_name.clear()

    def __enter__(self) -> Btf:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def find(self, name: str, kind: int) -> int:
        """Type id, or 0."""
        known = self._by_name.get(kind)
        if known is not None:
            return known.get(name.encode(), 0)
        self._asked[kind] += 1
        if self._raw and self._asked[kind] > _OFTEN:
            self._by_name[kind] = types_of_kind(self._raw.read_bytes(), kind)
            self._raw = self._raw if self._by_name[kind] else None
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
        return self.members_of(type_id)

    def members_of(self, type_id: int) -> list[Member]:
        """Members of a struct or union in order; those without a name are structs or unions whose own members
        count as if they stood there."""
        head, table = self._table(type_id, 3)
        if not head.info >> 31:
            return [Member(self._name(name), kind, offset // 8) for name, kind, offset in table]
        return [
            Member(
                self._name(name),
                kind,
                (offset & 0xFFFFFF) // 8,
                offset >> 24,
                offset % 8 if offset >> 24 else 0,
            )
            for name, kind, offset in table
        ]

    def kind(self, type_id: int) -> int:
        """KIND_*, 0 for void."""
        return self._type(type_id).info >> 24 & 0x1F if type_id else 0

    def name_of(self, type_id: int) -> str:
        """Tag, name of an integer type or typedef; empty where there is none."""
        return self._name(self._type(type_id).name_off) if type_id else "void"

    def inner(self, type_id: int) -> int:
        """The type that a pointer, wrapper or function refers to."""
        return int(self._type(type_id).size_or_type)

    def bare(self, type_id: int) -> int:
        """The type without typedef, const, volatile, restrict and tags."""
        while self.kind(type_id) in _WRAPPERS:
            type_id = self.inner(type_id)
        return type_id

    def wrappers(self, type_id: int) -> list[tuple[int, str]]:
        """What `bare` takes away, outermost first: kinds and names."""
        found = []
        while (kind := self.kind(type_id)) in _WRAPPERS:
            found.append((kind, self.name_of(type_id)))
            type_id = self.inner(type_id)
        return found

    def byte_size(self, type_id: int) -> int:
        """Size in memory; 0 for what has none (void, a function)."""
        bare = self.bare(type_id)
        kind = self.kind(bare)
        if kind == KIND_PTR:
            return 8
        if kind == KIND_ARRAY:
            element, count = self.array(bare)
            return self.byte_size(element) * count
        sized = (KIND_INT, KIND_STRUCT, KIND_UNION, KIND_ENUM, KIND_ENUM64, KIND_FLOAT)
        return int(self._type(bare).size_or_type) if kind in sized else 0

    def is_signed(self, type_id: int) -> bool:
        """Of an integer or enumeration. Before v6.0 enumerations do not say and count as unsigned: Linux
        kernel commit 6089fb325cf7 "bpf: Add btf enum64 support"."""
        bare = self.bare(type_id)
        if self.kind(bare) == KIND_INT:
            encoding = ctypes.c_uint32.from_address(self._address(bare) + ctypes.sizeof(_Type)).value
            return bool(encoding >> 24 & _SIGNED)
        return self.kind(bare) in (KIND_ENUM, KIND_ENUM64) and bool(self._type(bare).info >> 31)

    def array(self, type_id: int) -> tuple[int, int]:
        """Type of the elements, and how many."""
        # struct btf_array: type, index_type, nelems
        element, _index, count = (ctypes.c_uint32 * 3).from_address(
            self._address(type_id) + ctypes.sizeof(_Type)
        )
        return element, count

    def parameters(self, prototype: int) -> list[Named]:
        """Of a KIND_FUNC_PROTO; its result is `inner`."""
        _head, table = self._table(prototype, 2)
        return [Named(self._name(name), type_id) for name, type_id in table]

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

    def _address(self, type_id: int) -> int:
        return int(libbpf().btf__type_by_id(self._handle, type_id))

    def _type(self, type_id: int) -> _Type:
        return _Type.from_address(self._address(type_id))

    def _table(self, type_id: int, words: int) -> tuple[_Type, Iterable[tuple[int, ...]]]:
        """Head of a type, and the entries of `words` numbers that follow it."""
        address = self._address(type_id)
        head = _Type.from_address(address)
        entries = ((ctypes.c_uint32 * words) * (head.info & 0xFFFF)).from_address(
            address + ctypes.sizeof(_Type)
        )
        return head, (tuple(entry) for entry in entries)

    def _name(self, offset: int) -> str:
        name: bytes = libbpf().btf__name_by_offset(self._handle, offset)
        return name.decode()
