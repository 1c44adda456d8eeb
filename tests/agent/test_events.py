# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

from agent import events
from agent.log.encode import NAMESPACES

WIRE = Path(__file__).resolve().parents[2] / "kprobes" / "include" / "wire.h"
UNUSED = {"PARENT_IS_ROOT_SETUID"}
"""Flags of the kernel side that user space has no use for."""


def test_flags_are_those_of_the_kernel_side() -> None:
    theirs = dict(re.findall(r"FLAG_(\w+) = 1 << (\d+)", WIRE.read_text()))
    assert {name: 1 << int(bit) for name, bit in theirs.items() if name not in UNUSED} == {
        name: getattr(events, name) for name in theirs if name not in UNUSED
    }


def test_namespaces_are_in_the_order_of_the_kernel_side() -> None:
    slots = re.search(r"enum namespace_slot \{(.*?)NS_COUNT", WIRE.read_text(), re.DOTALL)
    assert slots is not None
    names = [name.lower() for name in re.findall(r"NS_(\w+)", slots[1])]
    assert [name.replace("_children", "_for_children") for name in names] == list(NAMESPACES)


def test_the_first_eight_credentials_are_in_the_order_of_the_logs_cred() -> None:
    names = ("uid", "gid", "euid", "egid", "suid", "sgid", "fsuid", "fsgid")
    assert events.Credentials._fields[:8] == names
