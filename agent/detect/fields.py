# SPDX-License-Identifier: Apache-2.0
"""fields.yaml: which fields a view has, what they are called otherwise, and where they come from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from agent.detect.sources import FAMILIES, SOURCES, Source

VIEWS: Mapping[str, tuple[str, ...]] = {
    "process_creation": ("process",),
    "process_termination": ("process",),
    "policy": ("process", "policy"),
    "file_event": ("process", "policy", "file"),
    "file_delete": ("process", "policy", "file"),
    "file_rename": ("process", "policy", "file"),
    "file_access": ("process", "policy", "file"),
    "network_connection": ("process", "policy", "network"),
    "dns_query": ("process", "policy", "network", "dns"),
    "auditd": ("auditd",),
    "log": ("log", "process"),
}
"""Sections of fields.yaml by view."""


Family = tuple[str, str, tuple[str, ...]]
"""What the names begin with, the source, and `only`."""


class Field(NamedTuple):
    """One field of a view."""

    name: str
    """What rules of either mapping come down to."""
    source: Source | None
    """None: no event has it."""
    never: str = ""
    """Why no event has it."""
    only: tuple[str, ...] = ()
    """Types of audit records that have it; empty: all of the view's events may."""
    is_unique: bool = False
    """Whether it differs nearly always: answers of rules that ask it are not cached."""
    origin: str = ""
    """The source's name in fields.yaml; empty: no event has it."""


def field_of(view: str, name: str) -> Field:
    """A field by any of its names; one that the view does not have is absent always. Case counts."""
    plain, families = _fields(view)
    if name in plain:
        return plain[name]
    for prefix, (canonical, source, only) in families.items():
        rest = name.removeprefix(prefix)
        if rest and rest != name and (source != "audit_argument" or rest.isdecimal()):
            return Field(canonical + rest, FAMILIES[source](rest), "", only, origin=source)
    return Field(name, None, f"events of {view} have no such field")


def is_unique(view: str, name: str) -> bool:
    """Whether a field, or the whole event (no name: keywords), differs nearly always."""
    return field_of(view, name).is_unique if name else view == "log"


def names_of(view: str) -> list[str]:
    """All names of a view's fields, for messages."""
    plain, families = _fields(view)
    return [*plain, *(f"{prefix}*" for prefix in families)]


def perhaps(view: str, name: str) -> str:
    """A field of the view that is called much like one which it does not have; empty when it has the field,
    or none is called so."""
    known = {one.casefold(): one for one in reversed(names_of(view))}
    close = [] if name in known.values() else difflib.get_close_matches(name.casefold(), known, 1, 0.75)
    return known[close[0]] if close else ""


@cache
def _fields(view: str) -> tuple[dict[str, Field], dict[str, Family]]:
    plain: dict[str, Field] = {}
    families: dict[str, Family] = {}
    for section in VIEWS[view]:
        for name, said in _document()[section].items():
            for alias in (name, *said.get("as", ())):
                if alias.endswith("*"):
                    families[alias[:-1]] = (name[:-1], said["from"], tuple(said.get("only", ())))
                else:
                    plain[alias] = _field(name, said)
    return plain, families


def _field(name: str, said: Mapping[str, Any]) -> Field:
    if "never" in said:
        return Field(name, None, str(said["never"]))
    source, only = said["from"], tuple(said.get("only", ()))
    return Field(name, SOURCES[source], "", only, bool(said.get("unique")), source)


@cache
def _document() -> dict[str, Any]:
    import yaml

    document: dict[str, Any] = yaml.safe_load(files("agent.detect").joinpath("fields.yaml").read_text())
    return document
