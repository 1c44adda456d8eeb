# SPDX-License-Identifier: Apache-2.0
"""What a record becomes on its way out: `json`, `ocsf` …, each of them usable by every transport.

A format's module has `make() -> Format`; one is made per runner. One more format is one more row here.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple, Protocol

FORMATS = {
    "json": "exporters.formats.plain",
    "expanded": "exporters.formats.expanded",
    "ocsf": "exporters.formats.ocsf",
    "ecs": "exporters.formats.ecs",
    "cef": "exporters.formats.cef",
}
"""Name in the configuration -> module."""


class Origin(NamedTuple):
    """What a format may want to know of a record besides its content."""

    boot_id: str
    """Boot that its sequence number belongs to; empty when it is not known."""


class Format(Protocol):
    """Turns records into bytes, in the order of the log.

    A format that needs to know more than the record at hand has a method `learn(record) -> None` as well: it
    is called for every record that is *not* sent, and for those before the place where the runner begins.
    """

    def __call__(self, record: dict[str, Any], origin: Origin) -> bytes | None:
        """The document, without a newline; None when this format has no words for such a record."""


def make_format(name: str) -> Format:
    """A fresh one. Raises KeyError when there is no such format."""
    made: Format = import_module(FORMATS[name]).make()
    return made
