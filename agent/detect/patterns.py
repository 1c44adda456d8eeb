# SPDX-License-Identifier: Apache-2.0
"""Regular expressions of rules: RE2, whose time is linear in the text, with a bound on its memory."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MAX_PATTERN = 4096
"""Characters of an expression."""
MAX_MEMORY = 8 << 20
"""Bytes that RE2 may take for one expression (max_mem in re2/re2.h): what would need more is refused when
it is compiled; states that were made while searching are thrown away beyond it, which is slower and not
wrong."""


class Refused(Exception):
    """RE2 does not take an expression; the text says why."""


@lru_cache(maxsize=16384)
def compile_pattern(pattern: str) -> Any:
    """A compiled expression. Raises Refused."""
    import re2

    if len(pattern) > MAX_PATTERN:
        raise Refused(f"is longer than {MAX_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        raise Refused(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from None


def search(pattern: str, text: str) -> bool:
    """Whether an expression is found in a text."""
    try:
        return compile_pattern(pattern).search(text) is not None
    except UnicodeEncodeError:  # a lone surrogate, which no line of the log can hold
        return compile_pattern(pattern).search(text.encode("utf-8", "replace").decode()) is not None
