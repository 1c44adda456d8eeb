# SPDX-License-Identifier: Apache-2.0
"""What tests of hooks share: the counting programs, contents for them, and calls to be counted."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from agent.errors import TracehoundError
from agent.kernel.hooks import HookSet
from agent.kernel.objects import BpfObject
from agent.kernel.sharedmaps import SharedMaps
from agent.policy.values import HookKey

ROOT = Path(__file__).parents[3]
SELECTOR = struct.Struct("=QQ32xIIiIIB3xQQ")
"""struct selector of kprobes/include/policy.h."""
FOREVER = (1 << 64) - 1
CALL = HookKey("sys_enter", "145")
"""sched_getscheduler of x86-64, which nobody else calls; raw tracepoints are on every kernel."""
FUNCTION = "security_task_getscheduler"
KEYS = (
    CALL,
    HookKey("sys_exit", "145"),
    HookKey("tracepoint", "syscalls/sys_enter_sched_getscheduler"),
    *(HookKey(kind, FUNCTION) for kind in ("fentry", "fexit", "fmod_ret", "kprobe", "kretprobe")),
    HookKey("lsm", FUNCTION.removeprefix("security_")),
)
"""Ways to see sched_getscheduler(2) and nothing else."""


@dataclass(frozen=True)
class Content:
    """As agent.policy.compile gives it."""

    shape: bytes
    maps: dict[str, dict[bytes, bytes]]
    sizes: dict[str, int] = field(default_factory=dict)


@cache
def counting_object() -> str:
    """Compiled once for a test run."""
    built = Path(mkdtemp(prefix="th-hooks-")) / "counting.bpf.o"
    machine = os.uname().machine
    arch = {"x86_64": "x86", "aarch64": "arm64"}[machine]
    flags = [
        "-O2",
        "-g",
        "-target",
        "bpf",
        "-mcpu=v2",
        f"-D__TARGET_ARCH_{arch}",
        "-Wno-missing-declarations",
    ]
    include = ["-I", str(ROOT / "kprobes"), "-idirafter", f"/usr/include/{machine}-linux-gnu"]
    source = Path(__file__).with_name("counting.bpf.c")
    subprocess.run(["clang", *flags, *include, "-c", str(source), "-o", str(built)], check=True)
    return str(built)


@cache
def shape_bytes() -> int:
    """Size of struct shape."""
    opened = BpfObject(counting_object())
    try:
        return opened.btf().size("shape")
    finally:
        opened.close()


def shape(hook: int = 1, flags: int = 0, values: int = 0) -> bytes:
    """struct shape with these first words; 99 values ask for what the verifier refuses."""
    return struct.pack("=4I", hook, flags, 1, values).ljust(shape_bytes(), b"\0")


def content(*selectors: tuple[int, int] | None, hook: int = 1, values: int = 0, integers: int = 0) -> Content:
    """Selectors by (from, to), bit 0 first, None for an unused bit, and so many entries of `integers`."""
    rows = {
        struct.pack("=I", bit): SELECTOR.pack(*epochs, 0, 1, 0, 0, 0, 0, 0, 0)
        for bit, epochs in enumerate(selectors)
        if epochs
    }
    numbers = {struct.pack("=IIQ", 1, 0, number): bytes(32) for number in range(integers)}
    return Content(shape(hook, values=values), {"selectors": rows, "integers": numbers})


ALWAYS = content((0, FOREVER))


@contextlib.contextmanager
def hook_set(pin_dir: Path | None = None) -> Iterator[HookSet]:
    """Hooks with the counting programs, in epoch 1."""
    shared = SharedMaps({}, preallocate=lambda: hooks.must_preallocate())
    hooks = HookSet(shared, pin_dir, counting_object())
    try:
        hooks.flip(1)
        yield hooks
    finally:
        hooks.close()
        shared.close()


def call(times: int) -> None:
    """Makes the call that KEYS see."""
    for _ in range(times):
        os.sched_getscheduler(0)


def counted(hooks: HookSet, key: HookKey) -> int:
    """Calls that any selector matched."""
    return sum(row[0] for row in hooks.counts(key).values())


def install_where_possible(hooks: HookSet) -> list[HookKey]:
    """Installs ALWAYS on all KEYS that this kernel takes; returns those."""
    taken = []
    for key in KEYS:
        with contextlib.suppress(TracehoundError):
            hooks.install(key, ALWAYS)
            taken.append(key)
    return taken
