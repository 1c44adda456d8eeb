# SPDX-License-Identifier: Apache-2.0
"""Categorization fields of ECS (event.kind, category, type, action) of each kind of record.

Which types go with which category: https://www.elastic.co/docs/reference/ecs/ecs-allowed-values-event-category.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from exporters.formats.facts import Facts

_TYPES: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("file", "write"): ("file", ("change",)),
    ("file", "create"): ("file", ("creation",)),
    ("file", "delete"): ("file", ("deletion",)),
    ("file", "rename"): ("file", ("change",)),
    ("file", "set security"): ("file", ("change",)),
    ("file", "set attributes"): ("file", ("change",)),
    ("file", "mount"): ("file", ("change",)),
    ("file", "unmount"): ("file", ("change",)),
    ("network", "connect"): ("network", ("connection", "start")),
    ("network", "accept"): ("network", ("connection", "start")),
    ("network", "close"): ("network", ("connection", "end")),
    ("network", "send"): ("network", ("connection",)),
    ("network", "receive"): ("network", ("connection",)),
    ("process", "launch"): ("process", ("start",)),
    ("process", "terminate"): ("process", ("end",)),
    ("process", "trace"): ("process", ("access",)),
    ("process", "inject"): ("process", ("change",)),
    ("process", "set user"): ("process", ("change",)),
    ("process", "set group"): ("process", ("change",)),
    ("process", "set capabilities"): ("process", ("change",)),
    ("process", "change namespaces"): ("process", ("change",)),
    ("process", "change root"): ("process", ("change",)),
    ("driver", "load"): ("driver", ("start",)),
    ("driver", "unload"): ("driver", ("end",)),
    ("kernel", "load bpf"): ("driver", ("start",)),
    ("kernel", "use bpf"): ("driver", ("info",)),
    ("kernel", "replace"): ("host", ("change",)),
    ("kernel", "stop"): ("host", ("end",)),
    ("kernel", "set time"): ("host", ("change",)),
    ("memory", "protect"): ("process", ("change",)),
    ("library", "load"): ("library", ("start",)),
}
_AREAS = {
    "file": ("file", ("access",)),
    "network": ("network", ("info",)),
    "driver": ("driver", ("info",)),
}
"""Of what is not in _TYPES; else it is something about the process."""
_PROCESS = ("process", ("info",))


class Category(NamedTuple):
    """What kind of event it is."""

    kind: str
    """event.kind."""
    categories: tuple[str, ...]
    """event.category; empty for own records, of which no category is true."""
    types: tuple[str, ...]
    """event.type; empty as well."""
    action: str
    """event.action: `exec`, `open`, `connect` …"""

    def denied(self) -> Category:
        """The same, stopped by a policy. Of the categories only intrusion_detection and network know
        `denied`."""
        return self._replace(
            categories=(*self.categories, "intrusion_detection"), types=(*self.types, "denied")
        )


def category_of(facts: Facts) -> Category:
    """The category of a record."""
    kind = facts.kind
    if facts.deed is not None:
        return _of(facts.deed.area, facts.deed.verb)
    if kind == "exec":
        process = facts.process
        flags = process.get("flags") if type(process) is dict else ""
        before = type(flags) is str and "procFS" in flags
        return _RUNNING if before else _EXEC
    if kind == "exit":
        return _EXIT
    if kind == "fork":
        return _FORK
    if kind == "detection":
        return _DETECTION
    return Category("state" if facts.type == "heartbeat" else "event", (), (), facts.type)


@lru_cache(maxsize=256)
def _of(area: str, verb: str) -> Category:
    category, types = _TYPES.get((area, verb)) or _AREAS.get(area, _PROCESS)
    return Category("event", (category,), types, verb.replace(" ", "-"))


_EXEC = Category("event", ("process",), ("start",), "exec")
_RUNNING = Category("event", ("process",), ("info",), "running-before-the-agent")
_FORK = Category("event", ("process",), ("start",), "fork")
_EXIT = Category("event", ("process",), ("end",), "exit")
_DETECTION = Category("alert", ("intrusion_detection",), ("info",), "detection")
