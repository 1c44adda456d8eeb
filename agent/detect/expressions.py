# SPDX-License-Identifier: Apache-2.0
"""All expressions that rules ask of one field, looked for in one go over its text (RE2's sets).

One go costs little more than one expression while texts resemble those before: 2 us for 200 expressions,
where each by itself takes 2 us. Texts full of what never came before are slower in a set than one by one;
then the set rests for a while. What holds is the same either way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import perf_counter_ns

from agent.detect.patterns import search
from agent.detect.sources import Value

LONGEST = 512
"""Characters of a text that is given to a set: the time for what it has not met before grows with it."""
MAX_MEMORY = 16 << 20
"""Bytes that RE2 may take for a set; beyond it states are made anew (re2/re2.h, max_mem)."""
SLOW_NS = 100_000
"""Wall-clock nanoseconds for a text, on average, from which on a set rests."""
RESTS = 2000
"""Texts that are asked one by one meanwhile."""
_MOST_NS = 2_000_000
"""More than a text takes is the machine's other work."""
_WEIGHT = 64
FEWEST = 4
"""Fewer expressions of a field are asked one by one."""
_NONE: frozenset[int] = frozenset()


class Expressions:
    """Those of one field, by number."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """The patterns are such as agent.detect.patterns.compile_pattern takes."""
        import re2

        self._patterns = tuple(patterns)
        options = re2.Options()
        options.log_errors = False
        options.max_mem = MAX_MEMORY
        self._set = re2.Set.SearchSet(options)
        for pattern in self._patterns:
            self._set.Add(pattern)
        self._set.Add("")  # found in every text: its absence says that RE2 gave up
        self._set.Compile()
        self._average_ns, self._rest = 0, 0

    def found_in(self, value: Value) -> Collection[int] | None:
        """Numbers of the expressions that are found in one of the values; None: they have to be asked one by
        one."""
        if type(value) is str:
            return self._of_text(value)
        found: Collection[int] = _NONE
        for text in value or ():
            of_text = self._of_text(text)
            if of_text is None:
                return None
            found = {*found, *of_text}
        return found

    def holds(self, number: int, value: Value) -> bool:
        """Whether one of them is found."""
        texts = (value,) if type(value) is str else value or ()
        return any(search(self._patterns[number], text) for text in texts)

    def _of_text(self, text: str) -> Collection[int] | None:
        if len(text) > LONGEST:
            return None
        if self._rest:
            self._rest -= 1
            return None
        began = perf_counter_ns()
        try:
            found: Collection[int] | None = self._set.Match(text)
        except UnicodeEncodeError:  # a lone surrogate
            return None
        took = min(perf_counter_ns() - began, _MOST_NS)
        self._average_ns += (took - self._average_ns) // _WEIGHT
        if self._average_ns > SLOW_NS:
            self._rest, self._average_ns = RESTS, 0
        return found if found and len(self._patterns) in found else None
