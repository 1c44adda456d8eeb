# SPDX-License-Identifier: Apache-2.0
"""YAML of other people, with the line of everything, within bounds.

It is built from the parser's events, one after the other: a document that is too deep, or whose aliases stand
for too much ("billion laughs"), is given up when the bound is reached, before it takes memory. Scalars become
what PyYAML's safe loader makes of them, because pySigma reads rules that way; but integers that are written
otherwise than in decimal digits (`0777`, `1:20`, `0x1b6`) stay texts, as which they stand on command lines.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from agent.configuration.values import shorten

MAX_BYTES = 4 << 20
"""Of a file. SigmaHQ's longest Linux rule has 12 kB; a list of 10,000 addresses about 200 kB."""
MAX_NODES = 100_000
"""Of a document, with aliases counted as what they stand for."""
MAX_DEPTH = 32
MAX_DOCUMENTS = 10_000
"""Of a file."""


class Item(NamedTuple):
    """A value of a document."""

    value: Any
    """A scalar, a list of Item, or a dict of str to Item."""
    line: int
    """From 1: where it stands; of an entry of a mapping, where its key stands."""
    size: int
    """Nodes in it, itself included."""
    written: str = ""
    """A scalar as it stands there, without quotes."""

    def plain(self) -> Any:
        """The same as Python values without lines."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def get(self, key: str) -> Item | None:
        """An entry of a mapping; None when it is none, or has no such entry."""
        return self.value.get(key) if isinstance(self.value, dict) else None


class Unreadable(Exception):
    """A file or document that cannot be used."""

    def __init__(self, line: int, text: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.line, self.text, self.message, self.hint = line, text, message, hint


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises Unreadable."""
    try:
        with open(path, "rb", opener=_open) as file:
            data = file.read(MAX_BYTES + 1)
        if data is None:
            raise Unreadable(0, "", "has nothing to read", "name a file, no device")
    except OSError as error:
        raise Unreadable(
            0, "", f"cannot be read: {error.strerror}", "check the path and its permissions"
        ) from error
    if len(data) > MAX_BYTES:
        raise Unreadable(0, "", f"is longer than {MAX_BYTES:,} bytes", "split it: one rule per file")
    return data


def _open(name: str, flags: int) -> int:
    """Waits for nobody but whoever writes into a pipe: `rules check <(…)`."""
    descriptor = os.open(name, flags | os.O_CLOEXEC | os.O_NOCTTY)
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.set_blocking(descriptor, False)
    return descriptor


def documents(data: bytes) -> Iterator[Item]:
    """The documents of a file, empty ones left out. Raises Unreadable at the first one that is wrong."""
    import yaml

    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte {data[error.start]:#04x} is not UTF-8"
        raise Unreadable(line, "", message, "save the file as UTF-8") from error
    try:
        yield from _Builder(text).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        hint = "check indentation and quotes of this line and the one above"
        raise Unreadable(line, _line(text, line), f"not valid YAML: {error.problem}", hint) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"character U+{code:04X} is not allowed in YAML"
        raise Unreadable(line, "", message, "remove it") from error


def _number(event: Any) -> int:
    """Of the line, from 1."""
    return int(event.start_mark.line) + 1


def _line(text: str, line: int) -> str:
    lines = text.splitlines()
    return shorten(lines[line - 1].strip()) if 0 < line <= len(lines) else ""


class _Builder:
    """Makes items of the parser's events."""

    def __init__(self, text: str) -> None:
        import yaml

        self._text = text
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)
        self._scalars: Any = yaml.SafeLoader("")
        self._anchors: dict[str, Item] = {}
        self._budget = MAX_NODES

    def documents(self) -> Iterator[Item]:
        import yaml

        count = 0
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            count += 1
            if count > MAX_DOCUMENTS:
                raise self._refusal(event, f"more than {MAX_DOCUMENTS:,} documents", "split the file")
            self._anchors, self._budget = {}, MAX_NODES
            item = self._item(next(self._events), 0)
            if item.value is not None:
                yield item

    def _item(self, event: Any, depth: int) -> Item:
        import yaml

        if depth > MAX_DEPTH:
            raise self._refusal(event, f"nested deeper than {MAX_DEPTH} levels", "rules have about five")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        self._spend(event, 1)
        line = _number(event)
        if isinstance(event, yaml.ScalarEvent):
            item = Item(self._scalar(event), line, 1, event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = list(self._sequence(depth))
            item = Item(items, line, 1 + sum(part.size for part in items))
        else:
            entries = dict(self._mapping(depth))
            item = Item(entries, line, 1 + sum(part.size for part in entries.values()))
        if getattr(event, "anchor", None):
            self._anchors[str(event.anchor)] = item
        return item

    def _alias(self, event: Any) -> Item:
        item = self._anchors.get(str(event.anchor))
        if item is None:
            raise self._refusal(
                event, f"the alias *{event.anchor} stands for nothing before it", "define it above"
            )
        self._spend(event, item.size)
        return item

    def _spend(self, event: Any, nodes: int) -> None:
        self._budget -= nodes
        if self._budget < 0:
            hint = "aliases count as what they stand for; write shorter lists, or several rules"
            raise self._refusal(event, f"stands for more than {MAX_NODES:,} values", hint)

    def _sequence(self, depth: int) -> Iterator[Item]:
        import yaml

        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._item(event, depth + 1)

    def _mapping(self, depth: int) -> Iterator[tuple[str, Item]]:
        import yaml

        seen: dict[str, int] = {}
        while True:
            event: Any = next(self._events)
            if isinstance(event, yaml.MappingEndEvent):
                return
            if not isinstance(event, yaml.ScalarEvent):
                raise self._refusal(event, "a key has to be a word", "quote it, or correct the indentation")
            key, line = str(event.value), _number(event)
            if key in seen:
                raise self._refusal(
                    event, f"given twice, first in line {seen[key]}", "remove one, or name it otherwise"
                )
            seen[key] = line
            yield key, self._item(next(self._events), depth + 1)._replace(line=line)

    def _scalar(self, event: Any) -> Any:
        import yaml

        tag = event.tag
        if tag is None or tag == "!":
            tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
        try:
            made = self._scalars.construct_object(
                yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
            )
            is_odd = type(made) is int and str(made) != event.value.lstrip("+")
            return event.value if is_odd else made
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise self._refusal(event, f"cannot be a value ({tag})", "quote it") from error

    def _refusal(self, event: Any, message: str, hint: str) -> Unreadable:
        line = _number(event)
        return Unreadable(line, _line(self._text, line), message, hint)
