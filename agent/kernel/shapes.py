# SPDX-License-Identifier: Apache-2.0
"""C types in the terms of who reads a value: an integer of so many bytes, a pointer to that struct."""

from __future__ import annotations

from typing import NamedTuple

from agent.kernel.btf import (
    KIND_ARRAY,
    KIND_ENUM,
    KIND_ENUM64,
    KIND_FUNC_PROTO,
    KIND_FWD,
    KIND_INT,
    KIND_PTR,
    KIND_STRUCT,
    KIND_TYPE_TAG,
    KIND_TYPEDEF,
    KIND_UNION,
    Btf,
)

_FORMS = {
    KIND_INT: "integer", KIND_ENUM: "integer", KIND_ENUM64: "integer", KIND_PTR: "pointer",
    KIND_STRUCT: "struct", KIND_UNION: "struct", KIND_FWD: "struct", KIND_ARRAY: "array", 0: "void",
}  # fmt: skip
_PREFIXES = {KIND_STRUCT: "struct ", KIND_FWD: "struct ", KIND_UNION: "union ", KIND_ENUM: "enum "}
_MOST_EMBEDDED = 6


class CType(NamedTuple):
    """One type."""

    form: str
    """integer (enumerations and bool too), pointer, struct (unions too), array, void, other."""
    tag: str
    """Name of the struct, integer or enumeration; of what a pointer or array refers to: `file`, `char`. Where
    a struct has none, the name of its typedef: `kernel_cap_t`."""
    text: str
    """As C writes it, without qualifiers: `struct file *`."""
    size: int = 0
    """Bytes."""
    is_signed: bool = False
    target: int = 0
    """Pointers and arrays: type id of what they refer to, without wrappers; structs: their own."""
    elements: int = 0
    """Elements of an array."""
    is_user: bool = False
    """The pointer is marked as one into user memory (by a compiler that keeps the mark)."""
    depth: int = 0
    """Stars: 2 for `char **`."""


class Parameter(NamedTuple):
    """One parameter of a function, tracepoint or system call."""

    name: str
    type: CType


class Prototype(NamedTuple):
    """What a function takes and gives."""

    parameters: tuple[Parameter, ...]
    result: CType


def describe(btf: Btf, type_id: int) -> CType:
    """A type by its number."""
    bare = btf.bare(type_id)
    kind = btf.kind(bare)
    form = _FORMS.get(kind, "other")
    if form == "pointer":
        return _pointer(btf, bare)
    if form == "array":
        element, count = btf.array(bare)
        of = describe(btf, element)
        return CType(
            form, of.tag, f"{of.text} [{count}]", of.size * count, of.is_signed, btf.bare(element), count
        )
    tag = _tag(btf, type_id, bare)
    prefix = _PREFIXES.get(kind, "") if btf.name_of(bare) else ""
    text = f"{prefix}{tag}" if tag else "anonymous struct"
    return CType(form, tag, text, btf.byte_size(bare), btf.is_signed(bare), bare if form == "struct" else 0)


def describe_function(btf: Btf, prototype: int, skip: int = 0) -> Prototype:
    """A KIND_FUNC_PROTO without its first `skip` parameters."""
    named = btf.parameters(prototype)[skip:]
    parameters = tuple(Parameter(name, describe(btf, type_id)) for name, type_id in named)
    return Prototype(parameters, describe(btf, btf.inner(prototype)))


def begins_with(btf: Btf, struct: int, tag: str) -> bool:
    """Whether a struct is one of this tag, or has one as its first member (struct tcp_sock, struct sock)."""
    for _round in range(_MOST_EMBEDDED):
        if btf.kind(struct) not in (KIND_STRUCT, KIND_UNION):
            return False
        if btf.name_of(struct) == tag:
            return True
        members = btf.members_of(struct)
        if not members:
            return False
        struct = btf.bare(members[0].type_id)
    return False


def declared(btf: Btf, text: str) -> CType:
    """A type as tracefs writes it: `const char *`, `umode_t`, `struct sockaddr *`. Pointers are those of a
    system call: into user memory."""
    words = [word for word in text.replace("*", " * ").split() if word not in ("const", "__user", "volatile")]
    depth = words.count("*")
    base = " ".join(word for word in words if word != "*")
    if depth:
        tag = base.rpartition(" ")[2] if base.startswith(("struct ", "union ")) else base
        target = btf.find(tag, KIND_UNION if base.startswith("union ") else KIND_STRUCT)
        return CType("pointer", tag, f"{base} {'*' * depth}", 8, False, target, 0, True, depth)
    size, is_signed = _C_INTEGERS.get(base, (0, False))
    if size:
        return CType("integer", base, base, size, is_signed)
    typedef = btf.find(base, KIND_TYPEDEF)
    return describe(btf, typedef) if typedef else CType("integer", base, base, 8, False)


_C_INTEGERS = {
    "char": (1, True), "signed char": (1, True), "unsigned char": (1, False), "bool": (1, False),
    "short": (2, True), "unsigned short": (2, False), "int": (4, True), "unsigned": (4, False),
    "unsigned int": (4, False), "long": (8, True), "unsigned long": (8, False), "long int": (8, True),
    "long unsigned int": (8, False), "long long": (8, True), "unsigned long long": (8, False),
}  # fmt: skip
"""Bytes and sign on 64-bit Linux."""


def _pointer(btf: Btf, bare: int) -> CType:
    inside = btf.inner(bare)
    is_user = any(kind == KIND_TYPE_TAG and name == "user" for kind, name in btf.wrappers(inside))
    target = btf.bare(inside)
    if btf.kind(target) == KIND_PTR:
        of = _pointer(btf, target)
        return of._replace(text=f"{of.text}*", depth=of.depth + 1, target=target, is_user=is_user)
    if btf.kind(target) == KIND_FUNC_PROTO:
        return CType("pointer", "", "function pointer", 8, depth=1)
    of = describe(btf, inside)
    return CType("pointer", of.tag, f"{of.text} *", 8, False, target, 0, is_user, 1)


def _tag(btf: Btf, type_id: int, bare: int) -> str:
    own = btf.name_of(bare)
    if own:
        return own
    typedefs = [name for kind, name in btf.wrappers(type_id) if kind == KIND_TYPEDEF]
    return typedefs[-1] if typedefs else ""
