# SPDX-License-Identifier: Apache-2.0
"""Hooks on a bpffs: DIR/hooks/KIND/TARGET/{link,programs} and, of a second dispatcher, {second,stood_in}.
What is pinned there runs on while no agent does; removing the names detaches it, with nothing but
unlink(2)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.errors import KernelRefused, PermissionMissing
from agent.kernel.libbpf import check, libbpf
from agent.kernel.links import fd_facts, program_on
from agent.kernel.pins import require_bpffs

FOLDER = "hooks"
_ESCAPES = {".": ",", "/": "+"}
"""A bpffs takes no dots in names (Linux kernel/bpf/inode.c); neither replacement is part of a symbol."""
_NAMES, _NAMES_OF_TWO = ("link", "programs"), ("link", "programs", "second", "stood_in")


class Pinned(NamedTuple):
    """What was found: descriptors, owned by the caller."""

    link: int
    programs: int
    """The dispatchers' program array."""
    second: int = -1
    """Link of the second dispatcher."""
    stood_in: int = -1
    """Its count."""


def place_of(directory: Path, kind: str, target: str) -> Path:
    """Where a hook is pinned."""
    name = "".join(_ESCAPES.get(letter, letter) for letter in target)
    return directory / FOLDER / kind / (name or "all")


def pin(place: Path, **descriptors: int) -> None:
    """Gives descriptors their names, in place of what stands there. Raises KernelRefused,
    KernelUnsupported."""
    require_bpffs(place)
    for name, fd in descriptors.items():
        path = place / name
        path.unlink(missing_ok=True)
        check(libbpf().bpf_obj_pin(fd, str(path).encode()), f"pin {path}")


def find(place: Path, slots: int, most: int = 2) -> Pinned | None:
    """Links that still hold dispatchers, and their array; None when there is none that can be used. `most`:
    so many of them may jump to the programs that are to come (Template.for_two_callers)."""
    found: list[int] = []
    are_two = (place / "second").exists()
    if are_two and most < 2:
        return None
    try:
        for name in _NAMES_OF_TWO if are_two else _NAMES:
            found.append(check(libbpf().bpf_obj_get(str(place / name).encode()), f"open {place / name}"))
        if all(map(program_on, found[::2])) and fd_facts(found[1]).get("max_entries") == str(slots):
            return Pinned(*found)
    except KernelRefused:
        pass
    for fd in found:
        os.close(fd)
    return None


def unpin(place: Path) -> None:
    """Removes one hook's names, and folders that are empty then."""
    for name in _NAMES_OF_TWO:
        with contextlib.suppress(OSError):
            (place / name).unlink()
    with contextlib.suppress(OSError):
        place.rmdir()
        place.parent.rmdir()
        place.parent.parent.rmdir()


def pinned(directory: Path) -> Iterator[tuple[str, str, Path]]:
    """Kind, target and place of everything that is pinned."""
    back = {short: letter for letter, short in _ESCAPES.items()}
    for place in sorted(directory.glob(f"{FOLDER}/*/*")):
        target = "".join(back.get(letter, letter) for letter in place.name)
        yield place.parent.name, target, place


def unpin_all(directory: Path) -> list[str]:
    """Detaches every pinned hook; needs no agent. Returns what was there, as `kind target`. Raises
    PermissionMissing where hooks may be left."""
    try:
        (directory / FOLDER).stat()
    except PermissionError:
        raise PermissionMissing(f"{directory} cannot be looked into", "run as root") from None
    except OSError:
        return []
    found = list(pinned(directory))
    for _kind, _target, place in found:
        unpin(place)
    left = [f"{kind} {target}" for kind, target, _place in pinned(directory)]
    if left:
        raise PermissionMissing(f"still attached: {', '.join(left)}", "run as root")
    return [f"{kind} {target}" for kind, target, _place in found]
