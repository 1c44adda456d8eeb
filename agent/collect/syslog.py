# SPDX-License-Identifier: Apache-2.0
"""Who wrote a line, and when, as far as the line itself says. Pure.

The two forms that rsyslogd and syslog-ng write by default: `Jan  2 03:04:05 host sshd[12]: text` (RFC 3164,
section 4.1; no year, no zone) and the same with a time of RFC 3339 in front.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

_OLD_TIME = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
_NEW_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_HEAD = re.compile(rf"(?:{_OLD_TIME}|({_NEW_TIME})) \S{{1,255}} ([^\s\[:]{{1,64}})(?:\[(\d{{1,7}})\])?:")
_OWN = '"tracehound":{"sequence":'


class Head(NamedTuple):
    """What stands before the text."""

    program: str = ""
    """As the line says; empty: it says none."""
    pid: int = 0
    """0: it says none. Whoever may write to the log may claim any."""
    time_ns: int = 0
    """Wall-clock nanoseconds; 0: it says none, or none with a year."""


def head_of(line: str) -> Head:
    """Of a line; empty for one of another form."""
    found = _HEAD.match(line)
    if found is None:
        return Head()
    stamp, program, pid = found.groups()
    return Head(program, int(pid or 0), _time_ns(stamp) if stamp else 0)


def is_own(program: str, line: str) -> bool:
    """Whether the agent or an exporter wrote it: what is told of it would be told again, for ever. By a mark
    inside of the text alone nobody can hide a line of others: its whole text has to be one of our records."""
    if program.casefold() == "tracehound":
        return True
    return _OWN in line and (line.partition(": ")[2] if program else line).lstrip().startswith('{"')


def _time_ns(stamp: str) -> int:
    try:
        when = datetime.fromisoformat(_microseconds(stamp))
    except (ValueError, OverflowError):
        return 0
    return max(0, int(when.timestamp()) * 1_000_000_000 + when.microsecond * 1000)


def _microseconds(stamp: str) -> str:
    """With six digits behind the point: what Python reads."""
    return re.sub(r"\.(\d{6})\d+", r".\1", stamp)
