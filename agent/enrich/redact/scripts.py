# SPDX-License-Identifier: Apache-2.0
"""Which arguments are scripts of a shell or another interpreter: there a value ends with its word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_SPACE = re.compile(r"\s")
_RUNS_SCRIPT = re.compile(r"-[A-Za-z]*c|--(?:command|eval|exec|execute)")
_INTERPRETERS = re.compile(r"(?:.*/)?(?:perl|ruby|node|nodejs|php|lua|osascript|Rscript)[\d.]*", re.DOTALL)
_INLINE = re.compile(r"-[A-Za-z]*[eEr]")
"""Options of these interpreters in front of a script; elsewhere (`docker run -e`) they mean other things."""

_REMOTE = re.compile(r"(?:.*/)?(?:ssh|watch|eval|parallel)", re.DOTALL)
"""Commands that hand any later argument to a shell."""


def scripts_among(argv: Sequence[str]) -> set[int]:
    """The indices of the arguments that are scripts; one without white space is no more than a word."""
    if not any(map(_SPACE.search, argv)):
        return set()
    found = set()
    inline = remote = False
    for i, (before, argument) in enumerate(pairwise(argv), 1):
        inline = inline or _INTERPRETERS.fullmatch(before) is not None
        remote = remote or _REMOTE.fullmatch(before) is not None
        runs = remote or _RUNS_SCRIPT.fullmatch(before) or (inline and _INLINE.fullmatch(before))
        if runs and _SPACE.search(argument):
            found.add(i)
    return found
