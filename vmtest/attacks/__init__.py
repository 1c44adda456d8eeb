# SPDX-License-Identifier: Apache-2.0
"""Harmless simulations of attacks, one file each (`vmtest/attacks/NAME.yaml`), and how they are read.

| field | meaning |
|---|---|
| `NAME` | what happens, in a few words |
| `TECHNIQUES` | techniques of ATT&CK; a detection that has one of them is the right one |
| `PLAIN`, `RENAMED`, `OTHER` | scripts of sh: as usual, with a renamed program, with another interpreter |
| `BEFORE`, `AFTER` | commands around each, by somebody else: not part of the attack |

A script runs in a directory of its own, inside a guest of vmtest only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

DIRECTORY = Path(__file__).resolve().parent
VARIANTS = ("PLAIN", "RENAMED", "OTHER")
KEYS = {"NAME", "TECHNIQUES", "BEFORE", "AFTER", *VARIANTS}


@dataclass(frozen=True, slots=True)
class Attack:
    """One file."""

    name: str
    """Of the file, without `.yaml`."""
    what: str
    techniques: tuple[str, ...]
    """`T1059.004`; the first one is what the attack is about."""
    variants: dict[str, str]
    """`plain`, `renamed`, `other` to a script of sh."""
    before: str = ""
    after: str = ""


def read_attacks(directory: Path = DIRECTORY) -> list[Attack]:
    """All, by name. Raises ValueError for a file that is not written as it should be."""
    return [_read(path) for path in sorted(directory.glob("*.yaml"))]


def _read(path: Path) -> Attack:
    said = yaml.safe_load(path.read_text())
    if set(said) - KEYS or not {"NAME", "TECHNIQUES", *VARIANTS} <= set(said):
        raise ValueError(f"{path.name}: {sorted(said)}; vmtest/attacks/__init__.py says what belongs there")
    return Attack(
        path.stem,
        said["NAME"],
        tuple(said["TECHNIQUES"]),
        {variant.lower(): said[variant] for variant in VARIANTS},
        said.get("BEFORE", ""),
        said.get("AFTER", ""),
    )
