# SPDX-License-Identifier: Apache-2.0
"""Harmless simulations of attacks, one file each (`vmtest/attacks/NAME.yaml`), and how they are read.

| field | meaning |
|---|---|
| `NAME` | what happens, in a few words |
| `TECHNIQUES` | techniques of ATT&CK; a detection that has one of them is the right one |
| `PLAIN`, `RENAMED`, `OTHER` | scripts of sh: as usual, with a renamed program, with another interpreter |
| `BY` | of each script: who does it, as patterns of names of programs (of paths, where a slash is in it) |
| `BEFORE`, `AFTER` | commands around each, by somebody else: not part of the attack |

`heldout/NAME.yaml` has variants of the same attacks, and further ones, by somebody who had not read the
rules. In place of the three scripts stands `VARIANTS`: names to

| field | meaning |
|---|---|
| `RUN` | the script |
| `BY` | as above |
| `BEFORE` | as above, for this variant only, behind the other one |

`heldout2/NAME.yaml` has two more variants of each of those, in the same form.

`heldout3/NAME.yaml` has attacks of its own, sorted by technique; each variant says of which `KIND` it is:

| kind | meaning |
|---|---|
| `common` | as textbooks and public collections have it |
| `variation` | the same with another tool, place or language |
| `evasion` | made not to be seen |

`heldout4/NAME.yaml` has the same, by somebody else again, mostly after incident reports and collections.

Those scripts end with status 0 only when they did what they are about.

A script runs in a directory of its own, inside a guest of vmtest only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).resolve().parent
HELD_OUT = ("heldout", "heldout2", "heldout3", "heldout4")
"""Directories, and what names of held-out attacks begin with."""
SUITES = ("tuned", *HELD_OUT)
VARIANTS = ("PLAIN", "RENAMED", "OTHER")
KEYS = {"NAME", "TECHNIQUES", "BY", "BEFORE", "AFTER", *VARIANTS}
HELD_OUT_KEYS = {"NAME", "TECHNIQUES", "BEFORE", "AFTER", "VARIANTS"}
VARIANT_KEYS = {"RUN", "BY", "BEFORE", "KIND"}
KINDS = ("common", "variation", "evasion")


@dataclass(frozen=True, slots=True)
class Attack:
    """One file."""

    name: str
    """Of the file, without `.yaml`; held-out ones begin with their suite and a slash."""
    what: str
    techniques: tuple[str, ...]
    """`T1059.004`; the first one is what the attack is about."""
    variants: dict[str, str]
    """Name (`plain`, `renamed`, `other`) to a script of sh."""
    before: str = ""
    after: str = ""
    by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a variant: patterns of the programs that do it."""
    preparations: dict[str, str] = field(default_factory=dict)
    """Of a variant: what is done behind `before`."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Of a variant: one of KINDS; absent in suites that do not tell."""

    @property
    def suite(self) -> str:
        """`tuned`, for those that the rules were written with, or one of `HELD_OUT`."""
        directory, slash, _ = self.name.partition("/")
        return directory if slash else SUITES[0]


def read_attacks(directory: Path = DIRECTORY) -> list[Attack]:
    """All, by name, held-out ones last. Raises ValueError for a file that is not written as it should be."""
    tuned = [_read(path) for path in sorted(directory.glob("*.yaml"))]
    held_out = [path for suite in HELD_OUT for path in sorted((directory / suite).glob("*.yaml"))]
    return tuned + [_read_held_out(path) for path in held_out]


def _read(path: Path) -> Attack:
    said = _load(path, KEYS, {"NAME", "TECHNIQUES", "BY", *VARIANTS})
    return Attack(
        path.stem,
        said["NAME"],
        tuple(said["TECHNIQUES"]),
        {variant.lower(): said[variant] for variant in VARIANTS},
        said.get("BEFORE", ""),
        said.get("AFTER", ""),
        {variant.lower(): tuple(names) for variant, names in said["BY"].items()},
    )


def _read_held_out(path: Path) -> Attack:
    said = _load(path, HELD_OUT_KEYS, {"NAME", "TECHNIQUES", "VARIANTS"})
    variants = said["VARIANTS"]
    for one in variants.values():
        _check(path, one, VARIANT_KEYS, {"RUN", "BY"})
        if one.get("KIND", KINDS[0]) not in KINDS:
            raise ValueError(f"{path.name}: KIND {one['KIND']}; it is one of {', '.join(KINDS)}")
    return Attack(
        f"{path.parent.name}/{path.stem}",
        said["NAME"],
        tuple(said["TECHNIQUES"]),
        {name: one["RUN"] for name, one in variants.items()},
        said.get("BEFORE", ""),
        said.get("AFTER", ""),
        {name: tuple(one["BY"]) for name, one in variants.items()},
        {name: one["BEFORE"] for name, one in variants.items() if "BEFORE" in one},
        {name: one["KIND"] for name, one in variants.items() if "KIND" in one},
    )


def _load(path: Path, known: set[str], needed: set[str]) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load(path.read_text())
    _check(path, said, known, needed)
    return said


def _check(path: Path, said: Mapping[str, Any], known: set[str], needed: set[str]) -> None:
    if set(said) - known or not needed <= set(said):
        raise ValueError(f"{path.name}: {sorted(said)}; vmtest/attacks/__init__.py says what belongs there")
