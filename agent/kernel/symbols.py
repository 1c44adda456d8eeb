# SPDX-License-Identifier: Apache-2.0
"""Names of the kernel's functions (/proc/kallsyms), and the nearest to one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_BESIDE = 4
"""Of many names those are compared that begin or end with as many of the same letters: one takes 10 us."""
_FEW, _MOST = 500, 4000
_OFTEN = 500
"""Searches that take as long as to take the list apart (130 ms)."""


def read_symbols(proc: Path = Path("/proc")) -> dict[str, tuple[str, int]]:
    """Functions by name: the module (empty: the kernel itself) and how many of this name there are. Addresses
    are hidden without privileges (kernel.kptr_restrict), names are not. Empty where the kernel lists none."""
    try:
        lines = (proc / "kallsyms").read_text().splitlines()
    except OSError:
        return {}
    found: dict[str, tuple[str, int]] = {}
    alone: dict[str, tuple[str, int]] = {}
    for line in lines:
        # address, type, name, and for modules a tab and `[module]`
        parts = line.split(None, 3)
        if len(parts) > 2 and parts[1] in "tTwW" and not parts[2].startswith("__pfx_"):
            module = parts[3].strip("[]") if len(parts) > 3 else ""
            before = found.get(parts[2])
            found[parts[2]] = (before[0], before[1] + 1) if before else alone.setdefault(module, (module, 1))
    return found


class Symbols(Mapping[str, tuple[str, int]]):
    """The same, searched in the list as it is: to take it apart takes longer than to load a policy."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        try:
            self._list = b"\n" + (proc / "kallsyms").read_bytes()
        except OSError:
            self._list = b""
        self._proc = proc
        self._parsed: dict[str, tuple[str, int]] | None = None
        self._asked = 0

    def __getitem__(self, name: str) -> tuple[str, int]:
        self._asked += 1
        if self._parsed is None and self._asked > _OFTEN:
            self._parsed = read_symbols(self._proc)
        if self._parsed is not None:
            return self._parsed[name]
        found = [] if name.startswith("__pfx_") else list(self._places(b" " + name.encode()))
        if not found:
            raise KeyError(name)
        end = self._list.index(b"\n", found[0])
        return self._list[found[0] : end].decode().partition("\t")[2].strip("[]"), len(found)

    def _places(self, text: bytes) -> Iterator[int]:
        """Where lines have this name behind the letter of a function."""
        at = self._list.find(text)
        while at >= 0:
            if self._list[at - 1] in b"tTwW" and self._list[at + len(text)] in b"\n\t":
                yield at
            at = self._list.find(text, at + 1)

    def __iter__(self) -> Iterator[str]:
        if self._parsed is None:
            self._parsed = read_symbols(self._proc)
        return iter(self._parsed)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return bool(self._list)


def nearest(name: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """At most `count` names that somebody may have meant, best first."""
    beside = list(names)
    if len(beside) > _FEW:
        head, tail = name[:_BESIDE], name[-_BESIDE:]
        beside = [other for other in beside if other.startswith(head) or other.endswith(tail)]
    beside.sort(key=lambda other: abs(len(other) - len(name)))
    return tuple(difflib.get_close_matches(name, beside[:_MOST], count, 0.7))


def or_nearest(name: str, names: Iterable[str]) -> str:
    """A hint: `did you mean a, b?`, empty when nothing is near."""
    found = nearest(name, names)
    return f"did you mean {', '.join(found)}?" if found else ""
