# SPDX-License-Identifier: Apache-2.0
"""Finding regular expressions that hang: they are run on texts made to hurt them, short ones first.

An expression that backtracks without bound would let any user of the machine stop the agent with one
command line. The texts repeat what the expression itself looks for; sizes grow slowly, so that even an
exponential one is caught after a fraction of a second.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator

_SIZES = (*range(8, 33, 2), 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
"""Characters; steps of 2 at first, because an exponential expression doubles its time with each."""

_ALLOWED_S = 0.001
_ALLOWED_S_PER_CHARACTER = 1e-6
"""About 50 times what a linear expression takes, so that a busy machine does not refuse good rules."""

_ATTEMPTS = 3
_SAMPLES = "aA0_-. /=:\"'\\@%&,;\0"
_LITERALS = re.compile(r"[A-Za-z0-9_]{2,}")
_STOP = "\x02"
"""A character that no rule expects: it makes the match fail at the end."""


def slow_text(pattern: re.Pattern[str], seeds: Iterable[str] = (), *, whole: bool = False) -> str | None:
    """The start of a text on which the pattern takes too long; None when none was found.

    `seeds` are texts that the pattern is meant for; they and their beginnings are repeated. `whole` says
    that the pattern is matched against whole values and not searched for.
    """
    for unit in _units(pattern.pattern, seeds):
        for size in _SIZES:
            text: str = unit * (size // len(unit) + 1) + _STOP
            allowed_s = _ALLOWED_S + len(text) * _ALLOWED_S_PER_CHARACTER
            if _too_slow(pattern, text, whole, allowed_s):
                return text[:40]
    return None


def _too_slow(pattern: re.Pattern[str], text: str, whole: bool, allowed_s: float) -> bool:
    """Whether every attempt takes longer than allowed."""
    for _ in range(_ATTEMPTS):
        start = time.perf_counter()
        if whole:
            pattern.fullmatch(text)
        else:
            deque(pattern.finditer(text), maxlen=0)
        if time.perf_counter() - start <= allowed_s:
            return False
    return True


def _units(source: str, seeds: Iterable[str]) -> Iterator[str]:
    """What to repeat: characters and words of the expression, beginnings of the texts it is meant for."""
    characters = dict.fromkeys(_SAMPLES + "".join(c for c in source if c.isprintable()))
    words = dict.fromkeys(_LITERALS.findall(source))
    yield from characters
    yield from words
    for word in words:
        yield from (word + sample for sample in "a0 =:")
    for seed in dict.fromkeys(seeds):
        yield from (seed[:end] for end in range(2, min(len(seed), 80) + 1))
