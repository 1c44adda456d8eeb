# SPDX-License-Identifier: Apache-2.0
"""Colours: SGR sequences when they are wanted, nothing otherwise."""

from __future__ import annotations

import os
import sys
from typing import IO, NamedTuple


class Palette(NamedTuple):
    """What to write before a piece of text; `end` goes after it. All empty without colours."""

    dim: str = ""
    bold: str = ""
    good: str = ""
    warn: str = ""
    bad: str = ""
    info: str = ""
    alarm: str = ""
    end: str = ""


PLAIN = Palette()
COLORED = Palette(
    dim="\x1b[2m",
    bold="\x1b[1m",
    good="\x1b[32m",
    warn="\x1b[33m",
    bad="\x1b[1;31m",
    info="\x1b[36m",
    alarm="\x1b[1;97;41m",
    end="\x1b[0m",
)


def wants_color(choice: str = "auto", stream: IO[str] | None = None) -> bool:
    """Whether to colour: `always`, `never`, or `auto`: on a terminal that can, unless NO_COLOR is set."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return (stream or sys.stdout).isatty()


def palette(color: bool) -> Palette:
    """The palette with or without colours."""
    return COLORED if color else PLAIN
