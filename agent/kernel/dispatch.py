# SPDX-License-Identifier: Apache-2.0
"""Dispatchers: what hangs on a hook and jumps to the program in a slot of a program array. Swapping the
slot's program changes all at one instant: every call is run by exactly one of them.

Instructions: Linux Documentation/bpf/standardization/instruction-set.rst. The kernel lets a program jump
only to one of its own type and attach type and, for types with a BTF target, of the same target's prototype
(Linux kernel/bpf/core.c, __bpf_prog_map_compatible).
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from agent.errors import KernelUnsupported
from agent.kernel.btf import Btf

SYSTEM_CALLS = 1024
"""Slots of one ABI; the 32-bit ABI's come behind those of the other one."""
_TAIL_CALL, _CURRENT_TASK, _READ_KERNEL = 12, 35, 113
"""enum bpf_func_id, append-only."""
_TS_COMPAT = 0x2
"""arch/x86/include/asm/thread_info.h: a 32-bit system call is running."""
_TIF_32BIT = 22
"""arch/arm64/include/asm/thread_info.h"""


class CallLayout(NamedTuple):
    """Where this kernel keeps what tells system calls apart, in bytes."""

    status: int
    """In task_struct: 4 bytes whose bit `bit` says that the task runs a 32-bit system call."""
    bit: int
    number: int
    """In pt_regs: 8 (arm64: 4) bytes with the number."""
    number_bytes: int = 8


def call_layout(btf: Btf) -> CallLayout:
    """Raises KernelUnsupported where the architecture is not known."""
    machine = os.uname().machine
    if machine == "x86_64":
        return CallLayout(
            _offset(btf, "thread_info", "status"), _TS_COMPAT.bit_length() - 1, _of_regs(btf, "orig_ax")
        )
    if machine == "aarch64":
        return CallLayout(_offset(btf, "thread_info", "flags"), _TIF_32BIT, _of_regs(btf, "syscallno"), 4)
    raise KernelUnsupported(f"system calls by sys_enter and sys_exit are not known for {machine}")


def jump_to_slot_0(array_fd: int) -> bytes:
    """For all hooks but system calls."""
    return _map(2, array_fd) + _move(3, 0) + _call(_TAIL_CALL) + _return_0()


def jump_by_call(array_fd: int, layout: CallLayout, at_exit: bool) -> bytes:
    """For raw sys_enter(regs, number) and sys_exit(regs, result): the slot is the system call's number, plus
    SYSTEM_CALLS for the 32-bit ABI. Numbers outside, such as x32's, have no slot."""
    return b"".join(
        (
            _code(0xBF, 6, 1),  # r6 = context
            _call(_CURRENT_TASK),
            _read(stack=-8, size=4, source=0, offset=layout.status),
            _number_at_exit(layout) if at_exit else _code(0x79, 7, 6, 8),  # r7 = context[1]
            _code(0x25, 7, 0, 9, SYSTEM_CALLS - 1),  # if r7 > 1023 goto the end
            _code(0x61, 3, 10, -8),  # r3 = *(u32 *)(stack - 8)
            _code(0x77, 3, imm=layout.bit),
            _code(0x57, 3, imm=1),
            _code(0x67, 3, imm=SYSTEM_CALLS.bit_length() - 1),
            _code(0x0F, 3, 7),  # r3 += r7
            _code(0xBF, 1, 6),
            _map(2, array_fd),
            _call(_TAIL_CALL),
            _return_0(),
        )
    )


def _number_at_exit(layout: CallLayout) -> bytes:
    wide = layout.number_bytes == 8
    regs = _code(0x79, 0, 6, 0)  # r0 = context[0]
    read = _read(stack=-16, size=layout.number_bytes, source=0, offset=layout.number)
    return regs + read + _code(0x79 if wide else 0x61, 7, 10, -16)


def _read(stack: int, size: int, source: int, offset: int) -> bytes:
    """bpf_probe_read_kernel(stack, size, register + offset)"""
    to = _code(0xBF, 1, 10) + _code(0x07, 1, imm=stack) + _move(2, size)
    return to + _code(0xBF, 3, source) + _code(0x07, 3, imm=offset) + _call(_READ_KERNEL)


def _code(operation: int, to: int = 0, source: int = 0, offset: int = 0, imm: int = 0) -> bytes:
    return struct.pack("=BBhi", operation, to | source << 4, offset, imm)


def _map(register: int, fd: int) -> bytes:
    return _code(0x18, register, 1, 0, fd) + _code(0)


def _move(register: int, value: int) -> bytes:
    return _code(0xB7, register, imm=value)


def _call(helper: int) -> bytes:
    return _code(0x85, imm=helper)


def _return_0() -> bytes:
    return _move(0, 0) + _code(0x95)


def _offset(btf: Btf, struct_name: str, member: str) -> int:
    """thread_info is the first member of task_struct (CONFIG_THREAD_INFO_IN_TASK, on x86 and arm64
    always)."""
    return next(found.offset for found in btf.members(struct_name) if found.name == member)


def _of_regs(btf: Btf, member: str) -> int:
    for found in btf.members("pt_regs"):
        if found.name == member:
            return found.offset
    raise KernelUnsupported(f"this kernel's pt_regs has no {member}")
