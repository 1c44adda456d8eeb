# SPDX-License-Identifier: Apache-2.0
"""What tests of hooks share: the counting programs, their maps, and calls to be counted."""

from __future__ import annotations

import os
import struct
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

ROOT = Path(__file__).parents[3]
SHAPE_BYTES = 2128
SELECTOR = struct.Struct("=QQ32xIIiIIBB2xQQ")
"""struct selector of kprobes/include/policy.h."""
FOREVER = (1 << 64) - 1


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
    flags = ["-O2", "-g", "-target", "bpf", "-mcpu=v2", "-D__TARGET_ARCH_x86", "-Wno-missing-declarations"]
    include = ["-I", str(ROOT / "kprobes"), "-idirafter", f"/usr/include/{os.uname().machine}-linux-gnu"]
    source = Path(__file__).with_name("counting.bpf.c")
    subprocess.run(["clang", *flags, *include, "-c", str(source), "-o", str(built)], check=True)
    return str(built)


def shape(hook: int = 1, flags: int = 0, words: int = 1, values: int = 0, denies: bool = False) -> bytes:
    """struct shape with these first words."""
    head = struct.pack("=9I", hook, flags, words, values, 0, 0, 0, 0, denies)
    return head.ljust(SHAPE_BYTES, b"\0")


def content(*selectors: tuple[int, int], **of_shape: int) -> Content:
    """Selectors by (from, to), bit 0 first."""
    rows = {
        struct.pack("=I", bit): SELECTOR.pack(since, until, 0, 1, 0, 0, 0, 0, 0, 0, 0)
        for bit, (since, until) in enumerate(selectors)
    }
    return Content(shape(**of_shape), {"selectors": rows})
