# SPDX-License-Identifier: Apache-2.0
"""From a struct along a path such as `mm->owner` or `cred.uid[0].val` to a member: what to add and where to
follow a pointer, by the kernel's own types."""

from __future__ import annotations

import re
from typing import NamedTuple

from agent.kernel.btf import KIND_ARRAY, KIND_PTR, KIND_STRUCT, KIND_UNION, Btf
from agent.kernel.shapes import CType, describe
from agent.kernel.symbols import or_nearest

_PART = re.compile(r"(?P<name>[A-Za-z_]\w*)?(?P<indexes>(?:\[\d+\])*)$")


class WalkError(ValueError):
    """The path leads nowhere."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Hop(NamedTuple):
    """Add, then follow the pointer that stands there."""

    offset: int
    """Bytes."""


class Found(NamedTuple):
    """Where a path ends."""

    hops: tuple[Hop, ...]
    """Pointers that are followed on the way."""
    offset: int
    """From there to the member, in bytes."""
    type: CType


class _Place(NamedTuple):
    hops: tuple[Hop, ...]
    offset: int
    type_id: int


def walk(btf: Btf, struct: int, path: str) -> Found:
    """From the struct with this type id (the address of one is given) along `a.b[3].c`. Pointers between the
    parts are followed. Raises WalkError."""
    place = _Place((), 0, struct)
    for part in split_path(path):
        place = _step(btf, place, part)
    return Found(place.hops, place.offset, describe(btf, place.type_id))


def split_path(path: str) -> list[str]:
    """Names and indexes in order: `a.b[3].c` is a, b, [3], c."""
    parts: list[str] = []
    for piece in path.replace("->", ".").removeprefix(".").split("."):
        found = _PART.match(piece.strip())
        if not found or not piece.strip():
            raise WalkError(f"`{path}` is no path of members", "write it as in `mm.owner.pid` or `args[1]`")
        parts += [found["name"]] if found["name"] else []
        parts += [f"[{index}]" for index in re.findall(r"\d+", found["indexes"])]
    return parts


def _step(btf: Btf, place: _Place, part: str) -> _Place:
    if part.startswith("["):
        return _element(btf, place, int(part[1:-1]))
    bare = btf.bare(place.type_id)
    if btf.kind(bare) == KIND_PTR:
        place = _Place((*place.hops, Hop(place.offset)), 0, btf.inner(bare))
        bare = btf.bare(place.type_id)
    if btf.kind(bare) not in (KIND_STRUCT, KIND_UNION):
        raise WalkError(f"`{describe(btf, bare).text}` has no member {part}")
    found = _member(btf, bare, part)
    if found is None:
        raise WalkError(
            f"{describe(btf, place.type_id).text} has no member {part}", _hint(part, list(_names(btf, bare)))
        )
    return _Place(place.hops, place.offset + found[0], found[1])


def _element(btf: Btf, place: _Place, index: int) -> _Place:
    bare = btf.bare(place.type_id)
    if btf.kind(bare) == KIND_PTR:
        element = btf.inner(bare)
        return _Place((*place.hops, Hop(place.offset)), index * btf.byte_size(element), element)
    if btf.kind(bare) != KIND_ARRAY:
        raise WalkError(f"`{describe(btf, bare).text}` is no array: it has no [{index}]")
    element, count = btf.array(bare)
    if count and index >= count:  # `x[]` at a struct's end has none
        raise WalkError(
            f"[{index}] is outside of `{describe(btf, bare).text}`", f"it ends with [{count - 1}]"
        )
    return _Place(place.hops, place.offset + index * btf.byte_size(element), element)


def _member(btf: Btf, struct: int, name: str) -> tuple[int, int] | None:
    """Offset and type, also of members of nameless structs and unions inside."""
    for member in btf.members_of(struct):
        if member.name == name:
            if member.bits and (member.first_bit or member.bits != 8 * btf.byte_size(member.type_id)):
                raise WalkError(
                    f"{name} is a bit field of {member.bits} bits, which cannot be read by itself"
                )
            return member.offset, member.type_id
        if not member.name:
            bare = btf.bare(member.type_id)
            inside = _member(btf, bare, name) if btf.kind(bare) in (KIND_STRUCT, KIND_UNION) else None
            if inside:
                return member.offset + inside[0], inside[1]
    return None


def _names(btf: Btf, struct: int) -> list[str]:
    found = []
    for member in btf.members_of(struct):
        bare = btf.bare(member.type_id)
        if member.name:
            found.append(member.name)
        elif btf.kind(bare) in (KIND_STRUCT, KIND_UNION):
            found += _names(btf, bare)
    return found


def _hint(name: str, names: list[str]) -> str:
    near = or_nearest(name, names)
    shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    return near or f"it has {shown}"
