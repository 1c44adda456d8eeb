# SPDX-License-Identifier: Apache-2.0
"""`resolve`: a path of struct members, as the steps that a program takes."""

from __future__ import annotations

from typing import NamedTuple

from agent.kernel.btf import KIND_STRUCT, KIND_UNION, Btf
from agent.kernel.shapes import CType
from agent.kernel.view import KernelView
from agent.kernel.walk import Found, WalkError, split_path, walk
from agent.policy.kinds import Kind, is_number
from agent.policy.model import Argument
from agent.policy.report import Wrong
from agent.policy.values import Step, ValueFlag, ValueType

MOST_STEPS = 10
"""RESOLVE_STEPS, kprobes/include/policy.h."""


class Start(NamedTuple):
    """The struct whose address is known."""

    btf: Btf
    struct: int
    """Type id."""


def find_start(argument: Argument, there: CType, btf: Btf, view: KernelView) -> Start:
    """Where the path begins: at btfType when it is said, else at what the argument points to."""
    if argument.btf_type:
        types = view.module_types(argument.btf_module) or btf
        tag = argument.btf_type.removeprefix("struct ").removeprefix("union ").rstrip(" *")
        struct = types.find(tag, KIND_STRUCT) or types.find(tag, KIND_UNION)
        if not struct:
            raise Wrong(f"btfType: this kernel has no struct {tag}")
        return Start(types, struct)
    if there.form != "pointer" or there.depth != 1 or btf.kind(there.target) not in (KIND_STRUCT, KIND_UNION):
        raise Wrong(f"resolve: `{there.text}` is no pointer to a struct", "name the struct with btfType")
    return Start(btf, there.target)


def follow(path: str, start: Start) -> Found:
    """Walks. Raises Wrong with the nearest members."""
    try:
        if len(split_path(path)) > MOST_STEPS:
            raise Wrong(f"resolve: `{path}` has more than {MOST_STEPS} parts")
        return walk(start.btf, start.struct, path)
    except WalkError as error:
        raise Wrong(f"resolve `{path}`: {error.message}", error.hint) from error


def steps_to(found: Found, kind: Kind) -> tuple[tuple[Step, ...], ValueFlag]:
    """Steps to where a path ends, so that afterwards there is what an argument of this type would hold;
    numbers are loaded from the address in the end."""
    through = found.type.form == "pointer" and not is_number(kind)
    steps = (*(Step(hop.offset, True) for hop in found.hops), Step(found.offset, through))
    reads = is_number(kind) and kind.value != ValueType.NOP
    return steps, ValueFlag.IS_ADDRESS if reads else ValueFlag(0)
