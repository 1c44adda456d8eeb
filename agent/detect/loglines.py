# SPDX-License-Identifier: Apache-2.0
"""Views of lines of other programs' logs (`log_line` records): one per service, and what rules ask of them.

Views are `log/SERVICE`, and `log/` for rules that name none; fields are those of section `log`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agent.detect.services import canonical

if TYPE_CHECKING:
    from agent.detect.sources import Subject, Value

KIND = "log_line"
"""Of the records."""
_VIEW = "log/"
_SUDO = re.compile(r"(?:^|[:;] +)(HOST|TTY|CHROOT|PWD|USER|GROUP|TSID|ENV)=(.*?)(?= ; |$)")
_COMMAND = re.compile(r" ; COMMAND=(.*)", re.DOTALL)
SUDO_FIELDS = ("HOST", "TTY", "CHROOT", "PWD", "USER", "GROUP", "TSID", "ENV", "COMMAND")
"""As sudo writes them, COMMAND last: `who : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`.
sudo, lib/eventlog/eventlog.c: new_logline()"""


def view_for(service: str) -> str:
    """The view of a rule's service; of none, that of all lines."""
    return _VIEW + canonical(service)


def is_line_view(view: str) -> bool:
    """Whether a view is one of lines."""
    return view.startswith(_VIEW)


def service_in(view: str) -> str:
    """The service of such a view; empty: all lines."""
    return view.removeprefix(_VIEW)


def views_of_line(line: Mapping[str, Any]) -> Iterator[str]:
    """Of the content of a record."""
    services = line.get("services")
    for service in dict.fromkeys(services if type(services) is list else ()):
        if type(service) is str and service:
            yield _VIEW + service
    yield _VIEW


def _said(name: str) -> Callable[[Subject], Value]:
    def source(subject: Subject) -> Value:
        value = subject.event.get(name)
        return value if type(value) is str and value else None

    return source


def _services(subject: Subject) -> Value:
    services = subject.event.get("services")
    return tuple(one for one in services if type(one) is str) or None if type(services) is list else None


_whole = _said("line")


def _message(subject: Subject) -> Value:
    """What stands behind the program's name; all of a line that names none."""
    line = _whole(subject)
    if type(line) is not str or not subject.event.get("program"):
        return line
    return line.partition(": ")[2] or line


def _of_sudo(name: str) -> Callable[[Subject], Value]:
    def source(subject: Subject) -> Value:
        message = _message(subject) if subject.event.get("program") in ("sudo", "sudoedit") else None
        if type(message) is not str:
            return None
        before, _, _ = message.partition(" ; COMMAND=")
        if name == "COMMAND":
            found = _COMMAND.search(message)
            return found[1] or None if found else None
        return next((said[2] for said in _SUDO.finditer(before) if said[1] == name), None) or None

    return source


SOURCES: Mapping[str, Callable[[Subject], Value]] = {
    "line": _whole,
    "line_message": _message,
    "line_program": _said("program"),
    "line_unit": _said("unit"),
    "line_source": _said("source"),
    "line_services": _services,
    **{f"sudo_{name.lower()}": _of_sudo(name) for name in SUDO_FIELDS},
}
"""By name in fields.yaml."""
