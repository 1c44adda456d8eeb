# SPDX-License-Identifier: Apache-2.0
"""Text from the kernel's bytes, and Tetragon's one-string form of an argument vector.

Both are equal to what Tetragon writes, so that its users' filters keep working; what that form loses is kept
in `tracehound.arguments` and `tracehound.raw`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_NOT_UTF8 = re.compile("[\udc80-\udcff]+")
"""What surrogateescape makes of bytes that are not UTF-8 (PEP 383)."""


def to_text(raw: bytes) -> tuple[str, bool]:
    """The text, and whether some bytes were not UTF-8: each run of them stands as one U+FFFD.

    The same as Go's `strings.ToValidUTF8(s, "\\ufffd")`, with which Tetragon makes its strings.
    """
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return _NOT_UTF8.sub("\ufffd", raw.decode(errors="surrogateescape")), True


def join_arguments(argv: Sequence[str]) -> str:
    """Everything behind `argv[0]` in one string, as in Tetragon's field `arguments`.

    One space between arguments; an argument that holds a space (a tab or a newline does not count) stands
    in double quotes, and quotes inside are left as they are. Two habits of Tetragon's `pkg/process/args.go`
    are kept: empty arguments in front vanish, and a quoted argument has a space before it even when it is
    the first. One is not: where the working directory is / Tetragon drops empty arguments at the end.
    """
    arguments = argv[1:]
    joined = " ".join(arguments)
    if joined.count(" ") < len(arguments):
        return joined.lstrip(" ")
    return _join_quoted(arguments)


def _join_quoted(arguments: Sequence[str]) -> str:
    parts: list[str] = []
    for argument in arguments:
        if " " in argument:
            parts.append(f' "{argument}"')
        elif parts:
            parts.append(" " + argument)
        elif argument:
            parts.append(argument)
    return "".join(parts)
