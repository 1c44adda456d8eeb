# SPDX-License-Identifier: Apache-2.0
"""Where a value ends: in an argument of its own, in a shell command, between quotes, in a query string.

All functions take the joined arguments (`text`, arguments separated by NUL), never look beyond an
argument's end, and take time in proportion to what they return.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]
"""Start and end of a part of the text."""

OPTION = re.compile(r"--[A-Za-z][\w-]*(?:=.*)?|-[A-Za-z]", re.DOTALL)
"""An option that stands where a value was expected: there is no value."""

SCRIPT = "\v\f\v"
"""Stands in front of an argument that is a script (`sh -c SCRIPT`): white space, so that no rule takes what
follows for the start of an argument, and such as no secret begins with."""

_ARGUMENT = re.compile(r"[^\0]*+")
_FIELDS = re.compile(r"[^\0&,;]*+(?:[&,;](?!\s?[\w.\[\]%-]++=)[^\0&,;]*+)*+")
_DOUBLE = r'"(?:[^"\\\0]|\\[^\0]?)*+"?'
_SINGLE = r"'[^'\0]*+'?"
_PLAIN = r"[^\s\0\"'\\;&|<>()`]|\\(?![\"'])[^\0]?"
_WORDS = {
    "": re.compile(rf"(?:{_PLAIN}|\\[^\0]|{_DOUBLE}|{_SINGLE})*+"),
    '"': re.compile(rf"(?:{_PLAIN}|'[^'\"\0]*+'|')*+"),
    "'": re.compile(rf"(?:{_PLAIN}|\"[^'\"\0]*+\"|\")*+"),
}
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\\0]|\\[^\0]?)*+)"?'),
    "'": re.compile(r"'([^'\0]*+)'?"),
    "\\": re.compile(r"(?P<quote>\\{1,7}[\"'])(?P<value>[^\0]*?)(?:(?P=quote)|(?=\0)|\Z)"),
}
_UP_TO = {
    '"': re.compile(r'(?:[^"\\\0]|\\[^\0]?)*+'),
    "'": re.compile(r"[^'\0]*+"),
}
_FIELD = re.compile(r"(?:[^\s\0\"'\\&,;#}\]<>]|\\(?![\"'])[^\0]?)*+")
_QUERY = re.compile(r"[^\s\0\"'&#<>]*+")
_CONNECTION = re.compile(r"[^\0\"'<>;\n]*+(?=;\s?[A-Za-z][\w ]{0,40}=)|[^\s\0\"';<>]*+")
_OPENING = re.compile(r"\\{0,7}[\"']")
_GLUED = re.compile(r"[^\s\0,;:)\]}&|<>`]")
"""What continues a shell's word behind a closing quote."""
_QUOTES = re.compile(r"\\[^\0]|[\"'\0]")
_GAP = re.compile(r"[^\S\n]*+")


def argument(text: str, start: int) -> Span:
    """The rest of the argument."""
    return start, _end(_ARGUMENT, text, start)


def after_mark(text: str, start: int) -> int:
    """Where the argument at `start` begins behind the mark of a script, if it has one."""
    return start + len(SCRIPT) if text.startswith(SCRIPT, start) else start


def fields(text: str, start: int, end: int | None = None) -> Span:
    """The rest of the argument up to a following `&name=`, `,name=` or `;name=`."""
    return start, _end(_FIELDS, text, start, len(text) if end is None else end)


def word(text: str, start: int, quote: str) -> Span:
    """A shell's word, without its quotes when it is one quoted piece; `quote` is what encloses it."""
    if opens_quote(text, start, quote):
        whole = _QUOTED[text[start]].match(text, start)
        if whole and (quote or not _GLUED.match(text, whole.end())):
            return whole.span(whole.lastindex or 0)
    return start, _end(_WORDS[quote], text, start)


def opens_quote(text: str, start: int, quote: str) -> bool:
    """Whether a quoted value (perhaps with escaped quotes) begins there, inside of `quote`."""
    return _OPENING.match(text, start) is not None and text[start] != quote


def enclosed(text: str, start: int, quote: str) -> Span:
    """The rest of the quoted string around `start`, cut as `fields` does."""
    return fields(text, start, _end(_UP_TO[quote], text, start))


def field(text: str, start: int, before: str) -> Span:
    """A value in the middle of a word; `before` is the character in front of its name."""
    pattern = _QUERY if before in "?&" else _CONNECTION if before == ";" else _FIELD
    return start, _end(pattern, text, start)


def words(text: str, start: int, quote: str) -> Iterator[Span]:
    """A shell command's words from `start` on, up to its end."""
    while True:
        start = _end(_GAP, text, start)
        end = _end(_WORDS[quote], text, start)
        if end == start:
            if text[start : start + 1] not in ("<", ">"):
                return
            start += 1
            continue
        yield word(text, start, quote) if text[start] in "\"'\\" else (start, end)
        start = end


def arguments(text: str, start: int) -> Iterator[Span]:
    """The arguments from `start` on."""
    while start <= len(text):
        end = text.find("\0", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


class Quotes:
    """Tells which quote is open at a position; positions have to be asked for in rising order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._open = ""

    def at(self, position: int) -> str:
        """The quote that is open there, or an empty text."""
        for match in _QUOTES.finditer(self._text, self._position, position):
            self._step(match[0])
            self._position = match.end()
        self._position = max(position, self._position)
        return self._open

    def _step(self, token: str) -> None:
        if token == "\0":
            self._open = ""
        elif self._open == "'":
            self._open = "" if token.endswith("'") else "'"
        elif not self._open:
            self._open = token if len(token) == 1 else ""
        elif token == self._open:
            self._open = ""


def _end(pattern: re.Pattern[str], text: str, start: int, end: int | None = None) -> int:
    match = pattern.match(text, start) if end is None else pattern.match(text, start, end)
    return match.end() if match else start
