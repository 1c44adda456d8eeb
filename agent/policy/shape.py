# SPDX-License-Identifier: Apache-2.0
"""What a part of a document may look like: kinds of values that read a tree, report what does not fit and
hand on the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from agent.configuration.values import shorten
from agent.policy.document import Item
from agent.policy.model import Where
from agent.policy.quantities import parse_integer
from agent.policy.report import Report, Wrong, nearest


class Leaf(NamedTuple):
    """A value and its place."""

    value: Any
    """str, int, bool, Part, list[Leaf]"""
    where: Where


class Part:
    """A mapping that was read: the fields that fit."""

    def __init__(self, where: Where, fields: dict[str, Leaf], broken: frozenset[str] = frozenset()) -> None:
        self.where = where
        self.fields = fields
        self.broken = broken
        """Fields that are missing or wrong; already reported."""

    def has(self, name: str) -> bool:
        """Whether the field is there and right."""
        return name in self.fields

    def says(self, name: str) -> bool:
        """Whether the field is there, and is neither false nor zero nor empty."""
        return name in self.fields and bool(self.fields[name].value)

    def at(self, name: str) -> Where:
        """Where the field stands, else where the part does."""
        return self.fields[name].where if name in self.fields else self.where

    def text(self, name: str, default: str = "") -> str:
        """A text field."""
        return str(self._get(name, default))

    def number(self, name: str, default: int = 0) -> int:
        """An integer field."""
        return int(self._get(name, default))

    def flag(self, name: str, default: bool = False) -> bool:
        """A field that is true or false."""
        return bool(self._get(name, default))

    def part(self, name: str) -> Part | None:
        """A mapping."""
        value = self._get(name, None)
        return value if isinstance(value, Part) else None

    def leaves(self, name: str) -> list[Leaf]:
        """The elements of a list, or the values of a map."""
        return list(self._get(name, []))

    def parts(self, name: str) -> list[Part]:
        """The elements of a list of mappings."""
        return [leaf.value for leaf in self.leaves(name) if isinstance(leaf.value, Part)]

    def _get(self, name: str, default: Any) -> Any:
        leaf = self.fields.get(name)
        return default if leaf is None else leaf.value


class Kind(Protocol):
    """Reads a node. None: it does not fit, and that is reported."""

    def read(self, item: Item, where: Where, report: Report) -> Any:
        """The value."""


@dataclass(frozen=True)
class Text:
    """A string of `least` to `most` characters."""

    least: int = 0
    most: int = 4096
    pattern: str = ""
    form: str = ""
    """What the pattern asks for, in words."""
    is_loose: bool = False
    """Numbers need no quotes, their characters are the value."""

    def read(self, item: Item, where: Where, report: Report) -> str | None:
        """The characters."""
        if item.kind != "text" and not (self.is_loose and item.kind in ("int", "float")):
            hint = f'write it in quotes: "{item.text}"' if item.text else ""
            report.error(where, f"{_shown(item)} is {_article(item.kind)}, expected text", hint)
            return None
        if not self.least <= len(item.text) <= self.most:
            text = f"{shorten(item.text)} has {len(item.text)} characters"
            report.error(where, text, f"allowed are {self.least} to {self.most}")
            return None
        if self.pattern and not re.fullmatch(self.pattern, item.text):
            report.error(where, f"{shorten(item.text)} is not {self.form}")
            return None
        return item.text


@dataclass(frozen=True)
class Word:
    """One of a few words."""

    choices: tuple[str, ...]

    def read(self, item: Item, where: Where, report: Report) -> str | None:
        """The word."""
        text = Text().read(item, where, report)
        if text is not None and text not in self.choices:
            report.error(where, f"{shorten(text)} is not known here", nearest(text, self.choices))
            return None
        return text


@dataclass(frozen=True)
class Flag:
    """true or false."""

    def read(self, item: Item, where: Where, report: Report) -> bool | None:
        """Its value."""
        if item.kind == "bool":
            return item.text.lower() in ("true", "yes", "on")
        report.error(where, f"{_shown(item)} is {_article(item.kind)}, expected true or false")
        return None


@dataclass(frozen=True)
class Number:
    """A whole number."""

    low: int = 0
    high: int = (1 << 32) - 1
    names: Mapping[str, int] = field(default_factory=dict)
    """Words that may stand for numbers."""

    def read(self, item: Item, where: Where, report: Report) -> int | None:
        """Its value."""
        value = self._value(item, where, report)
        if value is not None and not self.low <= value <= self.high:
            report.error(where, f"{item.text} is out of range", f"allowed are {self.low} to {self.high}")
            return None
        return value

    def _value(self, item: Item, where: Where, report: Report) -> int | None:
        if self.names and item.kind == "text":
            sign, name = (-1, item.text[1:]) if item.text.startswith("-") else (1, item.text)
            if name in self.names:
                return sign * self.names[name]
        try:
            if item.kind == "int" or (
                item.kind == "text" and item.text.lower().startswith(("0o", "0x", "0b"))
            ):
                return parse_integer(item.text)
        except Wrong as error:
            report.wrong(where, error)
            return None
        hint = nearest(item.text, self.names) if self.names else "write digits without quotes"
        report.error(where, f"{_shown(item)} is {_article(item.kind)}, expected a whole number", hint)
        return None


@dataclass(frozen=True)
class List:
    """Elements of one kind."""

    of: Kind
    most: int
    least: int = 0
    takes_one: bool = False
    """A mapping stands for a list of it alone."""

    def read(self, item: Item, where: Where, report: Report) -> list[Leaf] | None:
        """The elements that fit."""
        if self.takes_one and item.kind == "mapping":
            item = Item("list", item.line, items=[item])
        if item.kind != "list":
            hint = f"write - {item.text}" if item.text else "write each element behind a -"
            report.error(where, f"{_shown(item)} is {_article(item.kind)}, expected a list", hint)
            return None
        if not self.least <= len(item.items) <= self.most:
            limit = f"at most {self.most} are allowed" if item.items else f"at least {self.least} is needed"
            report.error(where, f"has {len(item.items)} elements", limit)
        places = [
            Where(where.source, x.line, f"{where.path}[{n}]") for n, x in enumerate(item.items[: self.most])
        ]
        read = ((self.of.read(x, at, report), at) for x, at in zip(item.items, places, strict=False))
        return [Leaf(value, at) for value, at in read if value is not None]


@dataclass(frozen=True)
class Map:
    """Names of the author's choice to values of one kind."""

    of: Kind
    most: int = 1024

    def read(self, item: Item, where: Where, report: Report) -> Part | None:
        """The values that fit."""
        if item.kind != "mapping":
            report.error(where, f"{_shown(item)} is {_article(item.kind)}, expected names with values")
            return None
        if len(item.fields) > self.most:
            report.error(where, f"has {len(item.fields)} names", f"at most {self.most} are allowed")
        return _read_fields(dict.fromkeys(item.fields, self.of), item, where, report)


@dataclass(frozen=True)
class Object:
    """A mapping of known fields. An empty text is as good as absent where the field may be absent: Tetragon's
    CRDs have API servers fill in `resolve: ""`, and its own writers leave no text out (`json:"message"`
    in its pkg/k8s/apis/cilium.io/v1alpha1/types.go)."""

    fields: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)
    """Fields that once were, and what to write instead."""

    def read(self, item: Item, where: Where, report: Report) -> Part | None:
        """The fields that fit."""
        if item.kind != "mapping":
            hint = f"one of: {', '.join(self.fields)}" if self.fields else ""
            report.error(where, f"{_shown(item)} is {_article(item.kind)}, expected fields", hint)
            return None
        for name, (line, _value) in item.fields.items():
            if name not in self.fields:
                self._unknown(name, Where(where.source, line, _join(where.path, name)), report)
        said = {name: each for name, each in item.fields.items() if not self._is_unset(name, each[1])}
        return _read_fields(self.fields, replace(item, fields=said), where, report, self.required)

    def may_be_empty(self, name: str) -> bool:
        """Whether the field's empty text says nothing."""
        return name not in self.required and isinstance(self.fields.get(name), Text | Word)

    def _is_unset(self, name: str, item: Item) -> bool:
        return item.kind == "text" and not item.text and self.may_be_empty(name)

    def _unknown(self, name: str, where: Where, report: Report) -> None:
        hint = self.removed.get(name) or nearest(name, self.fields)
        report.error(where, f"{shorten(name)} is not a field here", hint)


@dataclass(frozen=True)
class Anything:
    """Accepted unread."""

    def read(self, item: Item, where: Where, report: Report) -> str:
        """The text of a scalar."""
        return item.text


def _read_fields(
    kinds: Mapping[str, Kind], item: Item, where: Where, report: Report, required: tuple[str, ...] = ()
) -> Part:
    fields: dict[str, Leaf] = {}
    broken: set[str] = set()
    for name, (line, value) in item.fields.items():
        if name not in kinds or value.kind == "null":  # null is as good as absent, in Kubernetes too
            continue
        at = Where(where.source, line, _join(where.path, name))
        read = kinds[name].read(value, at, report)
        if read is None:
            broken.add(name)
        else:
            fields[name] = Leaf(read, at)
    for name in required:
        if name not in fields and name not in broken:
            report.error(where, f"{name} is missing", f"write {name}: …")
            broken.add(name)
    return Part(where, fields, frozenset(broken))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(item: Item) -> str:
    return shorten(item.text) if item.text else "this"


def _article(kind: str) -> str:
    words = {"text": "text", "null": "empty", "int": "a number", "float": "a number", "bool": "true or false"}
    return words.get(kind, f"a {kind}")
