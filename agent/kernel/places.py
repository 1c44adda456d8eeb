# SPDX-License-Identifier: Apache-2.0
"""Places in the kernel where hooks hang: the dispatcher with its array, and what is told of a hook there."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.kernel import dispatch
from agent.kernel.attaching import Attachment
from agent.kernel.libbpf import libbpf

if TYPE_CHECKING:
    from agent.policy.values import HookKey

BY_NUMBER = ("sys_enter", "sys_exit")
"""One dispatcher serves all system calls."""


class HookState(NamedTuple):
    """One hook as it is now."""

    attach: str
    target: str
    program_id: int
    instructions: int
    """That the verifier looked at."""
    memory_bytes: int
    """Kernel memory of the program and its own maps."""
    survives_restart: bool
    is_pinned: bool
    is_attached: bool
    """Asked of the kernel now."""
    missed: int
    """Calls that were not judged because the dispatcher was running on that CPU already."""


@dataclass(slots=True)
class Place:
    """An attached dispatcher with its array."""

    array: int
    slots: int
    attachment: Attachment | None = None
    dispatcher: int = 0
    """Number of its program."""
    dispatcher_fd: int = -1
    pinned: Path | None = None
    adopted: bool = False

    def put(self, slot: int, program: int) -> None:
        """The moment of a change."""
        if libbpf().bpf_map_update_elem(self.array, _u32(slot), _u32(program), 0):
            raise libbpf().refused("the dispatcher cannot jump to the program", ctypes.get_errno(), log=" ")

    def clear(self, slot: int) -> None:
        """Nothing is judged there any more."""
        libbpf().bpf_map_delete_elem(self.array, _u32(slot))

    def close(self) -> None:
        """Detaches, unless it is pinned."""
        if self.attachment:
            self.attachment.close()
        for fd in (self.dispatcher_fd, self.array):
            if fd >= 0:
                os.close(fd)


def target_of(key: HookKey) -> str:
    """The name by which the dispatcher finds its hook."""
    return key.attach if key.attach in BY_NUMBER else key.target


def place_key(key: HookKey) -> tuple[str, str]:
    """Hooks with the same one hang on one dispatcher."""
    return (key.attach, "") if key.attach in BY_NUMBER else (key.attach, key.target)


def slot_of(key: HookKey) -> int:
    """The hook's slot in the dispatcher's array."""
    if key.attach not in BY_NUMBER:
        return 0
    abi, _, number = key.target.rpartition("/")
    return int(number) + (dispatch.SYSTEM_CALLS if abi == "32" else 0)


def _u32(number: int) -> bytes:
    return struct.pack("=I", number)
