# SPDX-License-Identifier: Apache-2.0
"""Registers by their assembler names."""

from __future__ import annotations

import pytest

from agent.policy.registers import Register, find_register


@pytest.mark.parametrize(
    ("name", "machine", "register"),
    [
        ("rdi", "x86_64", Register("di", 8)),
        ("edi", "x86_64", Register("di", 4)),
        ("ax", "x86_64", Register("ax", 2)),
        ("al", "x86_64", Register("ax", 1)),
        ("r10d", "x86_64", Register("r10", 4)),
        ("x19", "aarch64", Register("regs[19]", 8)),
        ("w0", "aarch64", Register("regs[0]", 4)),
        ("lr", "aarch64", Register("regs[30]", 8)),
    ],
)
def test_a_name_tells_member_and_width(name: str, machine: str, register: Register) -> None:
    assert find_register(name, machine) == register


@pytest.mark.parametrize(
    ("name", "machine"), [("x0", "x86_64"), ("rdi", "aarch64"), ("r16", "x86_64"), ("", "x86_64")]
)
def test_names_of_another_machine_are_unknown(name: str, machine: str) -> None:
    assert find_register(name, machine) is None
