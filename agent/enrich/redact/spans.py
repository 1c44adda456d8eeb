# SPDX-License-Identifier: Apache-2.0
"""Parts of a text: putting them in order, taking them apart, replacing them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from agent.enrich.redact.rules import MARKER, MARKER_LENGTH
from agent.enrich.redact.values import Span

_NOTHING = "\ue000"
"""A character (for private use) that stands in no rule."""


def replaced(text: str, spans: Sequence[Span], replacement: Callable[[str], str]) -> str:
    """The text with something else in these places, which are in order and apart."""
    kept = [0, *(position for span in spans for position in span), len(text)]
    parts = [text[start:end] for start, end in pairwise(kept)]
    parts[1::2] = map(replacement, parts[1::2])
    return "".join(parts)


def hidden(text: str, spans: Sequence[Span]) -> str:
    """The text, as long as before, with nothing that a rule knows in these places."""
    return replaced(text, spans, lambda part: _NOTHING * len(part)) if spans else text


def markers_in(text: str) -> list[Span]:
    """Where something was replaced earlier."""
    return [match.span() for match in MARKER.finditer(text)]


def pieces(text: str, span: Span, markers: Sequence[Span]) -> Iterator[Span]:
    """The span, taken apart at borders of arguments; none where something was replaced earlier."""
    start = span[0]
    for part in text[start : span[1]].split("\0"):
        end = start + len(part)
        near = bisect_right(markers, start - MARKER_LENGTH, key=lambda marker: marker[0])
        if part and not (near < len(markers) and markers[near][0] < end):
            yield start, end
        start = end + 1


def merged(spans: Iterable[Span]) -> Iterator[Span]:
    """The spans in order, those that overlap or touch made one."""
    current: Span | None = None
    for start, end in sorted(spans):
        if current is not None and start <= current[1]:
            current = current[0], max(end, current[1])
            continue
        if current is not None:
            yield current
        current = start, end
    if current is not None:
        yield current
