# SPDX-License-Identifier: Apache-2.0
"""Dispatchers: what hangs on a hook and jumps to the program in a slot of a program array. Swapping the
slot's program changes all at one instant: every call is run by exactly one of them.

Instructions: Linux Documentation/bpf/standardization/instruction-set.rst. The kernel lets a program jump
only to one of its own type and attach type and, for types with a BTF target, of the same target's prototype
(Linux kernel/bpf/core.c, __bpf_prog_map_compatible).

Where the kernel preempts tasks inside programs, it skips a program for others of that CPU meanwhile (Linux
kernel/bpf/trampoline.c, __bpf_prog_enter_recur; kernel/trace/bpf_trace.c, __bpf_trace_run). A second
dispatcher then hangs behind the first and judges what that one did not note.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from agent.errors import KernelUnsupported
from agent.kernel.btf import Btf

SYSTEM_CALLS = 1024
"""Slots of one ABI; the 32-bit ABI's come behind those of the other one."""
_LOOKUP, _TAIL_CALL, _CURRENT_TASK, _READ_KERNEL, _STORAGE_OF_TASK, _TYPED_TASK = 1, 12, 35, 113, 156, 158
"""enum bpf_func_id, append-only."""
_CREATE = 1
"""BPF_LOCAL_STORAGE_GET_F_CREATE of linux/bpf.h."""
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


class Mark(NamedTuple):
    """Where a thread's call is noted as judged; descriptors of maps."""

    marks: int
    """Storage of threads (kprobes/marks.bpf.c)."""
    offset: int
    """Of this hook's word in it."""
    stood_in: int
    """An array of one: how often the second dispatcher judged."""


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


def noting(mark: Mark, jump: bytes) -> bytes:
    """The first of two dispatchers. The programs of one call get the same context, a place on its stack."""
    return b"".join(
        (
            _code(0xBF, 6, 1),  # r6 = context
            _storage(mark, _CREATE),
            _code(0x15, 0, 0, 1),  # if r0 == 0 goto the jump
            _code(0x7B, 0, 6, mark.offset),  # *(u64 *)(r0 + offset) = r6
            _code(0xBF, 1, 6),
            jump,
        )
    )


def standing_in(mark: Mark, jump: bytes) -> bytes:
    """The second one: does nothing for a call that is noted, and takes the note away."""
    return b"".join(
        (
            _code(0xBF, 6, 1),
            _storage(mark),
            _code(0x15, 0, 0, 5),  # if r0 == 0 goto the count
            _code(0x79, 1, 0, mark.offset),  # r1 = *(u64 *)(r0 + offset)
            _code(0x5D, 1, 6, 3),  # if r1 != r6 goto the count
            _code(0x7A, 0, 0, mark.offset),  # *(u64 *)(r0 + offset) = 0
            _return_0(),
            _count(mark.stood_in),
            _code(0xBF, 1, 6),
            jump,
        )
    )


def _storage(mark: Mark, create: int = 0) -> bytes:
    """r0 = bpf_task_storage_get(marks, bpf_get_current_task_btf(), NULL, create)"""
    task = _call(_TYPED_TASK) + _code(0xBF, 2, 0)
    return task + _map(1, mark.marks) + _move(3, 0) + _move(4, create) + _call(_STORAGE_OF_TASK)


def _count(array_fd: int) -> bytes:
    """Adds 1 to the only entry of an array."""
    key = _code(0x62, 10, 0, -4) + _code(0xBF, 2, 10) + _code(0x07, 2, imm=-4)
    found = _map(1, array_fd) + _call(_LOOKUP) + _code(0x15, 0, 0, 2)  # if r0 == 0 goto the end
    return key + found + _move(1, 1) + _code(0xDB, 0, 1)  # lock *(u64 *)r0 += r1


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
