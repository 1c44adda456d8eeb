# SPDX-License-Identifier: Apache-2.0
"""Names that the running kernel has: functions that can be traced, and system calls. Generated lists ask."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

from agent.policy.syscalls import entry, native, number, table

TRACEABLE = (
    Path("/sys/kernel/tracing/available_filter_functions"),
    Path("/sys/kernel/debug/tracing/available_filter_functions"),
)
"""Linux Documentation/trace/ftrace.rst; readable by root."""
SYMBOLS = Path("/proc/kallsyms")
"""Names are for everyone, addresses for root: proc(5)."""
_ENTRY = re.compile(r"__(?:x64|arm64)_sys_(\w+)")
_INTERNAL = ("__pfx_", "__cfi_", "__probestub_", "__initcall", "__kstrtab", "__crc_")


class KernelNames(Protocol):
    """What a kernel has."""

    def functions(self) -> Sequence[str]:
        """Functions, sorted."""

    def system_calls(self) -> Sequence[str]:
        """Entry points of the native ABI, as `sys_openat`, sorted."""


class RunningKernel:
    """The kernel that we run on. Files are read at the first question."""

    def __init__(self, traceable: Sequence[Path] = TRACEABLE, symbols: Path = SYMBOLS) -> None:
        self._traceable = traceable
        self._symbols = symbols

    def functions(self) -> Sequence[str]:
        """Those that ftrace knows; without tracefs all symbols of code."""
        return self._functions

    def system_calls(self) -> Sequence[str]:
        """Those that have a symbol and a number; without symbols all that have a number."""
        return self._system_calls

    @cached_property
    def _functions(self) -> list[str]:
        return sorted(self._from_ftrace or {name for name in self._text_symbols if _is_function(name)})

    @cached_property
    def _system_calls(self) -> list[str]:
        """Once for all: a policy may name a thousand, and symbols are two hundred thousand."""
        calls = {"sys_" + match[1] for name in self._text_symbols if (match := _ENTRY.fullmatch(name))}
        found = {name for name in calls if number(name, native()) is not None}
        return sorted(found or {entry(name, native()) for name in table(native())})

    @cached_property
    def _from_ftrace(self) -> frozenset[str]:
        for path in self._traceable:
            try:
                with path.open(encoding="utf-8", errors="replace") as lines:
                    names = frozenset(line.split(None, 1)[0] for line in lines if line.strip())
            except OSError:
                continue
            if names:
                return names
        return frozenset()

    @cached_property
    def _text_symbols(self) -> frozenset[str]:
        try:
            with self._symbols.open(encoding="utf-8", errors="replace") as lines:
                return frozenset(_code(lines))
        except OSError:
            return frozenset()


def _code(lines: Iterator[str]) -> Iterator[str]:
    """Names of symbols in text sections: nm(1), types t, T, w and W."""
    for line in lines:
        parts = line.split()
        if len(parts) >= 3 and parts[1] in "tTwW":
            yield parts[2]


def _is_function(name: str) -> bool:
    return not name.startswith(_INTERNAL) and not name.endswith(".cold") and name.isascii()
