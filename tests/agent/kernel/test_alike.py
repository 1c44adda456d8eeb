# SPDX-License-Identifier: Apache-2.0
"""Programs whose shapes differ in the hook's number alone are folded twice, then it is put in."""

from __future__ import annotations

import struct

import pytest

from agent.kernel.alike import Alike
from agent.kernel.hookprogram import SHAPE
from agent.kernel.template import MapForm, Template, capture
from agent.kernel.tiny import takes_fetching_atomics
from agent.policy.classes import ClassTable
from agent.policy.compile import KernelFacts, compile_hook
from tests.agent.policy.placing import KEY, asks, place

LOAD = struct.pack("=BBhiBBhi", 0x18, 0x21, 0, 0, 0, 0, 0, 0)
"""r1 = the shape's place"""
NUMBER = struct.pack("=BBhi", 0x61, 0x10, 0, 0)
"""r0 = its first word"""
ONE_MORE = struct.pack("=BBhi", 0x07, 0, 0, 1)
SHIFTED = struct.pack("=BBhi", 0x67, 0, 0, 2)
EXIT = struct.pack("=BBhi", 0x95, 0, 0, 0)


def template(*rows: bytes) -> Template:
    forms = {SHAPE: MapForm(2, 4, 8, 1, 0)}
    return Template(17, 0, LOAD + b"".join(rows), ((4, SHAPE),), forms, {SHAPE: bytes(8)}, b"", 8, 0)


def shape(number: int, flags: int = 5) -> bytes:
    return struct.pack("=2I", number, flags)


def test_the_third_is_made_of_the_first() -> None:
    alike, plain = Alike(), template(NUMBER, EXIT)
    made = [alike.folded(plain, SHAPE, shape(number), ()) for number in (3, 8, 70_000)]
    assert made == [plain.folded({SHAPE: shape(number)}, ()) for number in (3, 8, 70_000)]
    assert made[2].maps is made[0].maps
    assert made[2].maps is not made[1].maps


@pytest.mark.parametrize("rows", [(NUMBER, ONE_MORE, EXIT), (NUMBER, SHIFTED, EXIT)])
def test_a_number_that_is_more_than_told_is_folded_each_time(rows: tuple[bytes, ...]) -> None:
    alike, counting = Alike(), template(*rows)
    for number in (3, 10, 8, 9, 10):
        assert alike.folded(counting, SHAPE, shape(number), ()) == counting.folded({SHAPE: shape(number)}, ())


def test_another_shape_is_another_program() -> None:
    alike, flags = Alike(), template(struct.pack("=BBhi", 0x61, 0x10, 4, 0), EXIT)
    for number, value in ((1, 5), (2, 5), (3, 6), (4, 6)):
        wanted = flags.folded({SHAPE: shape(number, value)}, ())
        assert alike.folded(flags, SHAPE, shape(number, value), ()) == wanted


@pytest.mark.kernel
def test_programs_of_hooks_are_alike() -> None:
    hook = capture("hook.bpf.o" if takes_fetching_atomics() else "hook_plain.bpf.o", "hook_sys_enter", {})
    alike, uses = Alike(), [place(asks(1, "Equal", "7"))]
    shapes = [compile_hook(number, KEY, uses, ClassTable(), KernelFacts()).shape for number in range(1, 5)]
    made = [alike.folded(hook, SHAPE, one, ()) for one in shapes]
    hook.close()
    assert made == [hook.folded({SHAPE: one}, ()) for one in shapes]
    assert made[3].maps is made[0].maps
