# SPDX-License-Identifier: Apache-2.0
"""Waiting until every BPF program that runs now has ended. Programs run under RCU, and membarrier(2) with
MEMBARRIER_CMD_GLOBAL waits for a grace period of it (Linux kernel/sched/membarrier.c)."""

from __future__ import annotations

import ctypes
import os
import time

_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_GLOBAL = 1
_LONG_ENOUGH_S = 0.2
"""Where the kernel has no such command (CONFIG_NO_HZ_FULL in use): no program runs as long as this."""


def wait_for_programs() -> None:
    """Some 10 to 30 ms."""
    number = _MEMBARRIER.get(os.uname().machine)
    call = ctypes.CDLL(None, use_errno=True).syscall
    if number is None or call(number, _GLOBAL, 0, 0):
        time.sleep(_LONG_ENOUGH_S)
