# SPDX-License-Identifier: Apache-2.0
"""Which file, and which function, an address of a process is in. Functions are named by bcc where that is
installed (Debian: python3-bpfcc); else by the mapped file (/proc/PID/maps), the place in it and its build id,
from which names can be found elsewhere."""

from __future__ import annotations

import contextlib
import importlib
import struct
import sys
import time
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from agent.policy.book import Frame

_PACKAGES = "/usr/lib/python3/dist-packages"
"""Where distributions put Python packages for their own interpreter."""
KEEP_S = 10.0
"""So long bcc's tables are kept, in seconds."""
_PROCESSES_MOST = 16
"""Of which bcc's tables are kept."""
_SLOW = ("fuse", "nfs", "cifs", "smb", "ceph", "afs")
"""File systems that may keep a reader waiting for ever: their files are not opened."""
_HEADER_BYTES = 4096
_PT_NOTE, _NT_GNU_BUILD_ID = 4, 3
"""elf(5)"""


class Mapping(NamedTuple):
    """One line of /proc/PID/maps (proc(5))."""

    start: int
    end: int
    offset: int
    """Of `start`, in the file."""
    device: str
    """`major:minor`, decimal."""
    path: str


class UserCode:
    """Addresses of processes."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._caches: OrderedDict[int, Any] = OrderedDict()
        self._bcc: Any = None
        self._looked = False
        self._made_s = 0.0

    def frames(self, tgid: int, addresses: tuple[int, ...]) -> list[Frame]:
        """One for each address; none when the process is gone."""
        maps = self._maps(tgid)
        if not maps:
            return []
        names = self._names(tgid)
        return [self._frame(tgid, address, maps, names) for address in addresses]

    def _frame(self, tgid: int, address: int, maps: list[Mapping], names: Any) -> Frame:
        there = next((one for one in maps if one.start <= address < one.end), None)
        if there is None:
            return Frame(0, address=address)
        if names is not None:
            name, offset, module = names.resolve(address, True)
            if name:
                path = module.decode(errors="replace") if module else there.path
                return Frame(offset, name.decode(errors="replace"), path, address)
        build_id = self._build_id(tgid, there)
        return Frame(address - there.start + there.offset, "", there.path, address, build_id)

    def _maps(self, tgid: int) -> list[Mapping]:
        try:
            lines = (self._proc / str(tgid) / "maps").read_text(errors="replace").splitlines()
        except OSError:
            return []
        return [_mapping(line) for line in lines if "x" in line.split(" ", 2)[1]]

    def _build_id(self, tgid: int, there: Mapping) -> str:
        if not there.path.startswith("/") or there.device in self._slow_devices(tgid):
            return ""
        # the file that is mapped, whatever has its name now
        return build_id_of(self._proc / str(tgid) / "map_files" / f"{there.start:x}-{there.end:x}")

    def _slow_devices(self, tgid: int) -> set[str]:
        """Of file systems that are not read from."""
        try:
            lines = (self._proc / str(tgid) / "mountinfo").read_text(errors="replace").splitlines()
        except OSError:
            return set()
        # "36 35 98:0 /root /mount options ... - type source"
        parts = ((line.split(" ", 3)[2], line.partition(" - ")[2]) for line in lines)
        return {device for device, kind in parts if kind.startswith(_SLOW)}

    def _names(self, tgid: int) -> Any:
        """bcc's table of the process, None without bcc."""
        if not self._looked:
            self._bcc, self._looked = import_bcc(), True
        if self._bcc is None:
            return None
        if tgid not in self._caches:
            self._made_s = self._made_s if self._caches else time.monotonic()
            self._caches[tgid] = self._bcc.SymbolCache(tgid)
            if len(self._caches) > _PROCESSES_MOST:
                self._free(self._caches.popitem(last=False))
        self._caches.move_to_end(tgid)
        return self._caches[tgid]

    def rest(self, keep_s: float = KEEP_S) -> None:
        """Gives bcc's tables back after a while: a pid may be another process's by then."""
        if self._caches and time.monotonic() - self._made_s >= keep_s:
            while self._caches:
                self._free(self._caches.popitem())

    def _free(self, entry: tuple[int, Any]) -> None:
        tgid, names = entry
        self._bcc.lib.bcc_free_symcache(names.cache, tgid)


def import_bcc() -> Any:
    """The package bcc, which belongs to the distribution's interpreter; None where it is not installed."""
    for places in ((), (_PACKAGES,)):
        sys.path.extend(places)
        try:
            return importlib.import_module("bcc")
        except (ImportError, OSError, AttributeError):  # not there, or not for this libbcc
            continue
        finally:
            for place in places:
                sys.path.remove(place)
    return None


def _mapping(line: str) -> Mapping:
    bounds, _, offset, device, _, *path = line.split(None, 5)
    start, _, end = bounds.partition("-")
    major, _, minor = device.partition(":")
    name = path[0].removesuffix(" (deleted)") if path else ""
    return Mapping(int(start, 16), int(end, 16), int(offset, 16), f"{int(major, 16)}:{int(minor, 16)}", name)


@lru_cache(maxsize=256)
def _parsed(header: bytes) -> str:
    if header[:5] != b"\x7fELF\x02" or len(header) < 64:
        return ""
    (start,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<2H", header, 54)
    for at in range(start, start + size * count, size):
        if at + 56 > len(header):
            break
        kind, _, offset, _, _, length = struct.unpack_from("<2I4Q", header, at)
        if kind == _PT_NOTE and (found := _note(header[offset : offset + length])):
            return found
    return ""


def build_id_of(path: Path) -> str:
    """The build id of an ELF file, hexadecimal; empty where there is none in its first page."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return _parsed(file.read(_HEADER_BYTES))
    return ""


def _note(notes: bytes) -> str:
    """NT_GNU_BUILD_ID among a segment's notes: sizes of name and content, type, then both, padded to 4."""
    at = 0
    while at + 12 <= len(notes):
        name, length, kind = struct.unpack_from("<3I", notes, at)
        content = at + 12 + (name + 3 & -4)
        if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 16] == b"GNU\0":
            return notes[content : content + length].hex()
        at = content + (length + 3 & -4)
    return ""
