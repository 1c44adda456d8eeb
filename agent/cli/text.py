# SPDX-License-Identifier: Apache-2.0
"""Text of others on a terminal: whatever it holds, it stays on its line and steers nothing.

Everything that Python calls not printable is escaped: control characters (C0, C1, DEL), line and paragraph
separators, format characters (bidirectional overrides, zero-width ones) and lone surrogates. Only the
plain space is left of the white space.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_SAFE = r"[\w@%+=:,./-]"
_SAFE_WORD = re.compile(f"{_SAFE}+")
_SAFE_WORDS = re.compile(f"{_SAFE}+(?: {_SAFE}+)*")
_SPECIAL = re.compile(r'["$`\\!]')  # what a shell reads inside of double quotes
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e", "\\": "\\\\", "'": "\\'"}


def _escaped(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as `surrogateescape` keeps it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clean(text: str) -> str:
    """`text` with everything that is not printable escaped as in Python or C; other text is untouched."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def quote(text: str) -> str:
    """`text` as one word that a shell reads back: bare, in quotes, or as bash's `$'…'`."""
    if _SAFE_WORD.fullmatch(text):
        return text
    if text.isprintable():
        if "'" not in text:
            return f"'{text}'"
        if not _SPECIAL.search(text):
            return f'"{text}"'
    return f"$'{''.join(map(_escaped, text))}'"


def words(arguments: Sequence[str], limit: int = 0) -> str:
    """Arguments as a shell reads them. With a `limit`, about so many characters and what is missing."""
    joined = " ".join(arguments)
    if not limit or len(joined) <= limit:
        if _SAFE_WORDS.fullmatch(joined) and joined.count(" ") == len(arguments) - 1:
            return joined
        return " ".join(map(quote, arguments))
    return _cut_words(arguments, limit)


def _cut_words(arguments: Sequence[str], limit: int) -> str:
    shown: list[str] = []
    room = limit
    for argument in arguments:
        if len(argument) >= room:
            shown.append(quote(argument[:room]) + "…")
            break
        shown.append(quote(argument))
        room -= len(argument) + 1
    missing = len(arguments) - len(shown)
    return " ".join(shown) + (f" … ({missing} more arguments)" if missing else "")


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters and a `…` for the others; 0: all."""
    return text if not limit or len(text) <= limit else f"{text[:limit]}…"


def shorten_path(path: str, limit: int) -> str:
    """A path of at most `limit` characters: the end tells more than the beginning."""
    return clean(path) if len(path) <= limit else "…" + clean(path[1 - limit :])


def base_name(path: str) -> str:
    """The last part of a path, cleaned, at most 40 characters."""
    return shorten_path(path.rpartition("/")[2] or path, 40)
