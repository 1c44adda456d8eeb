# SPDX-License-Identifier: Apache-2.0
"""Whether a single line can be taken apart and written again, byte for byte. Asked line by line where the
whole of a segment has shown that one of them cannot. Pure."""

from __future__ import annotations

import re

from agent.log.times import format_time, parse_time
from agent.store.split import join, split

_MARKS = re.compile(rb"[\x00-\x04]")
_IDS = re.compile(rb'"[^"\\]*"(?:,"[^"\\]*")*')


def comes_back(line: bytes, middle: bytes) -> bool:
    """Whether `split` and `join` give the line, and the columns its time, number and ancestry."""
    parts = split(line, middle)
    if parts is None or join(parts, middle) != line or _MARKS.search(line):
        return False
    _, _, _, stamp, number, lineage, own, _ = parts
    if (own and not own.startswith(b",")) or (lineage and not _IDS.fullmatch(lineage)):
        return False
    try:
        return format_time(parse_time(stamp.decode())).encode() == stamp and b"%d" % int(number) == number
    except ValueError:
        return False


def is_text(raw: bytes) -> bool:
    """Whether it is UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
