# SPDX-License-Identifier: Apache-2.0
"""Names of registers, for `data` with the source pt_regs."""

from __future__ import annotations

import re
from typing import NamedTuple

_WIDE = {
    "rax": "ax",
    "rbx": "bx",
    "rcx": "cx",
    "rdx": "dx",
    "rsi": "si",
    "rdi": "di",
    "rbp": "bp",
    "rsp": "sp",
}
_X86: dict[str, tuple[str, int]] = {
    **{name: (member, 8) for name, member in _WIDE.items()},
    **{f"e{member}": (member, 4) for member in _WIDE.values()},
    **{member: (member, 2) for member in _WIDE.values()},
    **{f"{member[0]}l": (member, 1) for member in ("ax", "bx", "cx", "dx")},
    **{f"{member}l": (member, 1) for member in ("si", "di", "bp", "sp")},
    "rip": ("ip", 8),
    "eflags": ("flags", 4),
    "rflags": ("flags", 8),
    "orig_rax": ("orig_ax", 8),
}
"""Register to member of struct pt_regs and bytes: Linux arch/x86/include/asm/ptrace.h."""
_NUMBERED = re.compile(r"r(8|9|1[0-5])([dwb]?)")
_ARM = re.compile(r"([xw])(\d|[12]\d|30)")


class Register(NamedTuple):
    """Where a register stands in struct pt_regs."""

    path: str
    """Member, as agent.kernel.walk takes it."""
    size: int
    """Bytes that its name means: 4 for eax."""


def find_register(name: str, machine: str) -> Register | None:
    """By the assembler's name; None where the architecture (as uname(2) names it) has none of that name."""
    if machine == "aarch64":
        return _find_arm(name)
    if machine != "x86_64":
        return None
    if found := _NUMBERED.fullmatch(name):
        return Register(f"r{found[1]}", {"": 8, "d": 4, "w": 2, "b": 1}[found[2]])
    return Register(*_X86[name]) if name in _X86 else None


def _find_arm(name: str) -> Register | None:
    if name in ("sp", "pc", "pstate"):
        return Register(name, 8)
    name = {"lr": "x30", "fp": "x29"}.get(name, name)
    found = _ARM.fullmatch(name)
    return Register(f"regs[{found[2]}]", 8 if found[1] == "x" else 4) if found else None
