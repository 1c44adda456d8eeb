# SPDX-License-Identifier: Apache-2.0
"""Numbers of system calls by ABI, from syscalls.txt, and the names under which policies may write them.

A policy names the kernel's entry point (`sys_openat`), which for a few calls differs from the name of the
ABI's number (`fstat` is entered by `sys_newfstat`). Both are taken."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from agent.configuration.values import shorten
from agent.policy.report import Wrong, nearest

COMPAT = 1 << 32
"""Set in a number of the 32-bit ABI (kprobes/include/policy.h, VALUE_SYSCALL: number | abi << 32)."""

_TABLES = ("x86_64", "i386", "aarch64")
_PREFIX = re.compile(r"(?:__(x64|ia32_compat|ia32|arm64_compat|arm64|se|do)_)?(?:compat_)?sys_(\w+)")
_ABI_OF_PREFIX = {"x64": "64", "arm64": "64", "ia32": "32", "ia32_compat": "32", "arm64_compat": "32"}
_ABI_OF_WORD = {"x64": "64", "x86_64": "64", "arm64": "64", "aarch64": "64", "i386": "32", "ia32": "32"}

ENTRIES: Mapping[str, Mapping[str, str]] = {
    "x86_64": {
        "newstat": "stat",
        "newfstat": "fstat",
        "newlstat": "lstat",
        "newuname": "uname",
        "sendfile64": "sendfile",
        "umount": "umount2",
    },
    "i386": {
        "newstat": "stat",
        "newfstat": "fstat",
        "newlstat": "lstat",
        "newuname": "uname",
        "umount": "umount2",
        "oldumount": "umount",
        "mmap_pgoff": "mmap2",
        "old_mmap": "mmap",
        "old_select": "select",
        "old_readdir": "readdir",
        "fadvise64_64": "fadvise64_64",
    },
    "aarch64": {
        "newfstat": "fstat",
        "newuname": "uname",
        "sendfile64": "sendfile",
        "umount": "umount2",
        "fadvise64_64": "fadvise64",
    },
}
"""Entry points (without `sys_`) that have another name than their number: Linux
arch/x86/entry/syscalls/*.tbl, include/uapi/asm-generic/unistd.h."""


class SystemCall(NamedTuple):
    """One call as a policy names it."""

    name: str
    """`sys_openat`"""
    abi: str
    """As in Hook.abi: empty, `64` or `32`."""


@cache
def table(name: str) -> Mapping[str, int]:
    """Numbers by the ABI's names (`openat`): x86_64, i386 or aarch64."""
    column = _TABLES.index(name) + 1
    lines = (Path(__file__).parent / "syscalls.txt").read_text(encoding="ascii").splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def native(machine: str = "") -> str:
    """The table of the 64-bit ABI of this machine, or of `machine` (as uname(2) names it)."""
    return "aarch64" if (machine or platform.machine()) in ("aarch64", "arm64") else "x86_64"


def compat(machine: str = "") -> str:
    """The table of its 32-bit ABI; empty where we have none (that of 32-bit ARM)."""
    return "i386" if native(machine) == "x86_64" else ""


def number(name: str, of: str) -> int | None:
    """The number of `sys_openat` or `openat` in a table; None when the ABI has no such call."""
    plain = name.removeprefix("sys_")
    return table(of).get(ENTRIES[of].get(plain, plain))


def entry(name: str, of: str) -> str:
    """The entry point `sys_newfstat` of `fstat` or `sys_fstat`; other names unchanged, with `sys_`."""
    plain = name.removeprefix("sys_")
    by_number = {known: point for point, known in ENTRIES[of].items()}
    return "sys_" + (plain if plain in ENTRIES[of] else by_number.get(plain, plain))


def is_known(name: str) -> bool:
    """Whether any of the ABIs has this call."""
    return any(number(name, of) is not None for of in _TABLES)


def parse_system_call(text: str) -> SystemCall:
    """`sys_dup`, `i386/sys_dup`, `__x64_sys_dup`, `__ia32_sys_dup`."""
    word, slash, name = text.rpartition("/")
    if slash and word not in _ABI_OF_WORD:
        raise Wrong(f"{shorten(word)} is no ABI", nearest(word, _ABI_OF_WORD))
    match = _PREFIX.fullmatch(name)
    if match is None:
        raise Wrong(f"{shorten(text)} is no system call", _advice(name))
    return SystemCall(f"sys_{match[2]}", _ABI_OF_WORD.get(word, "") or _ABI_OF_PREFIX.get(match[1] or "", ""))


def suggest(name: str) -> str:
    """A hint for a call that does not exist."""
    names = {f"sys_{known}" for of in _TABLES for known in (*table(of), *ENTRIES[of])}
    return nearest(name, names)


def _advice(name: str) -> str:
    if is_known(name):
        return f"write sys_{name}"
    return "write sys_… for a system call, or `syscall: false` for a function"
