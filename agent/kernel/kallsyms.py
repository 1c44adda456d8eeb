# SPDX-License-Identifier: Apache-2.0
"""Which function of the kernel an address is in (/proc/kallsyms). Read when it is first asked for, and given
back when nobody asked for a while: the names of a kernel take some six MiB."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

KEEP_S = 60.0
"""So long after the last question the table is kept, in seconds. Modules come and go, so it also is not
older than AGE_S."""
AGE_S = 600.0
_CODE = frozenset(b"tTwW")
"""Types of symbols of code: nm(1)."""


class KernelSymbol(NamedTuple):
    """A place in a function."""

    name: str
    module: str
    """Empty: the kernel itself."""
    offset: int
    """Bytes from its begin."""


class KernelSymbols:
    """The table, sorted by address."""

    def __init__(self, path: Path = Path("/proc/kallsyms")) -> None:
        self._path = path
        self._addresses = array("Q")
        self._names: list[bytes] = []
        self._read_s = self._used_s = 0.0

    @property
    def is_loaded(self) -> bool:
        """Whether the table is in memory."""
        return bool(self._names)

    def find(self, address: int) -> KernelSymbol | None:
        """None where no function begins before it, or addresses are hidden (kernel.kptr_restrict)."""
        self._used_s = time.monotonic()
        if not self._names or self._used_s - self._read_s > AGE_S:
            self._load()
        at = bisect_right(self._addresses, address) - 1
        if at < 0:
            return None
        name, _, module = self._names[at].decode(errors="replace").partition("\t")
        return KernelSymbol(name, module.strip("[]"), address - self._addresses[at])

    def rest(self, keep_s: float = KEEP_S) -> bool:
        """Gives the table back when nobody asks; whether it did."""
        if not self._names or time.monotonic() - self._used_s < keep_s:
            return False
        self._addresses, self._names = array("Q"), []
        return True

    def _load(self) -> None:
        self._read_s = time.monotonic()
        self._addresses, self._names = array("Q"), []
        try:
            content = self._path.read_bytes()
        except OSError:
            return
        # "ffffffff81000000 T name", and of modules "\t[module]" behind it
        found = [
            (int(line[:16], 16), line[19:])
            for line in content.splitlines()
            if line[17] in _CODE and not line.startswith(b"0000000000000000")
        ]
        found.sort(key=lambda each: each[0])
        self._addresses = array("Q", (address for address, _ in found))
        self._names = [name for _, name in found]
