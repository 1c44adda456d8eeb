# SPDX-License-Identifier: Apache-2.0
"""YAML text as trees that know their lines. Built from the parser's events, so that depth, size and aliases
are bounded while reading. PyYAML is imported only when there is something to read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.configuration.values import shorten
from agent.policy import bounds
from agent.policy.model import Where
from agent.policy.report import Report

if TYPE_CHECKING:
    import yaml

MAX_TEXT_BYTES = 2 << 20
"""Longer texts are refused: Kubernetes stores objects of at most 1.5 MiB (etcd's limit for a request)."""
MAX_DEPTH = 32
"""A TracingPolicy nests 12 deep."""
MAX_NODES = 200_000
"""Nodes of a text, aliases counted as what they stand for."""
MAX_ALIASES = 256

_KINDS = {
    "str": "text",
    "seq": "list",
    "map": "mapping",
    "timestamp": "text",
    "value": "text",
    "merge": "text",
}
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Item:
    """One node. An alias is the node that it names."""

    kind: str
    """null, bool, int, float, text, list or mapping, as YAML 1.1 sees it."""
    line: int
    text: str = ""
    """Scalars: the characters."""
    items: list[Item] = field(default_factory=list)
    fields: dict[str, tuple[int, Item]] = field(default_factory=dict)
    """Mappings: line of the key, value. Of a key that stands there twice, the first."""
    merged: dict[str, tuple[int, Item]] = field(default_factory=dict)
    """What `<<` brings in, until the mapping is complete."""
    size: int = 1
    """Nodes, itself included."""


class Document(NamedTuple):
    """One document of a text."""

    root: Item
    text: str


class _Refused(Exception):
    """Reading stops here."""

    def __init__(self, line: int, text: str, hint: str) -> None:
        super().__init__(text)
        self.line, self.text, self.hint = line, text, hint


def read_documents(text: str, source: str, report: Report) -> list[Document]:
    """The documents of a text that are not empty. After what is no YAML nothing more is read."""
    import yaml

    builder = _Builder(source, report, text.splitlines())
    try:
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise _Refused(0, f"is longer than {MAX_TEXT_BYTES} bytes", "split it into several files")
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            builder.feed(event)
    except _Refused as error:
        report.error(Where(source, error.line, builder.path()), error.text, error.hint)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        report.error(Where(source, line, ""), "is not valid Unicode", "save the file as UTF-8")
    except yaml.MarkedYAMLError as error:
        _report_syntax(error, builder, report)
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        named = f"character {error.character!r} is not allowed in YAML"
        report.error(Where(source, line, ""), named, "remove it")
    return builder.documents


def _report_syntax(error: yaml.MarkedYAMLError, builder: _Builder, report: Report) -> None:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark is not None else 1
    offending = builder.lines[line - 1].strip() if line <= len(builder.lines) else ""
    context = f" ({error.context})" if error.context else ""
    where = Where(builder.source, line, builder.path())
    report.error(
        where, f"not valid YAML at {shorten(offending)}: {error.problem}{context}", "check the indentation"
    )


class _Frame:
    """A collection that is not closed yet."""

    def __init__(self, item: Item, anchor: str | None) -> None:
        self.item = item
        self.anchor = anchor
        self.key: Item | None = None

    def step(self) -> str:
        """Its part of the path."""
        if self.item.kind == "list":
            return f"[{len(self.item.items)}]"
        return f".{self.key.text}" if self.key is not None else ""


class _Builder:
    """Makes trees of events."""

    def __init__(self, source: str, report: Report, lines: list[str]) -> None:
        import yaml

        self.source, self.report, self.lines = source, report, lines
        self.documents: list[Document] = []
        self._resolver = yaml.resolver.Resolver()
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Item] = {}
        self._root: Item | None = None
        self._aliases = self._start = 0

    def path(self) -> str:
        """The place in the document that is being read."""
        return "".join(frame.step() for frame in self._stack).lstrip(".")

    def feed(self, event: Any) -> None:
        """Takes the next event."""
        handler = getattr(self, f"_on_{type(event).__name__}", None)
        if handler is not None:
            handler(event)

    def _on_DocumentStartEvent(self, event: Any) -> None:
        self._anchors, self._root = {}, None
        self._start = event.start_mark.line if self.documents or event.explicit else 0

    def _on_DocumentEndEvent(self, event: Any) -> None:
        if self._root is not None and self._root.kind != "null":
            if len(self.documents) >= bounds.POLICIES:
                what = f"this is document {bounds.POLICIES + 1}, and {bounds.POLICIES} policies can be loaded"
                raise _Refused(self._root.line, what, "join policies: one may have many hooks and selectors")
            text = "\n".join(self.lines[self._start : event.end_mark.line + 1]) + "\n"
            self.documents.append(Document(self._root, text))

    def _on_ScalarEvent(self, event: Any) -> None:
        import yaml

        resolve: Any = self._resolver.resolve
        tag = event.tag or resolve(yaml.ScalarNode, event.value, event.implicit)
        self._close(Item(self._kind(tag, event), event.start_mark.line + 1, event.value), event.anchor)

    def _on_SequenceStartEvent(self, event: Any) -> None:
        self._open("list", event)

    def _on_MappingStartEvent(self, event: Any) -> None:
        self._open("mapping", event)

    def _on_SequenceEndEvent(self, _event: Any) -> None:
        frame = self._stack.pop()
        for name, value in frame.item.merged.items():
            frame.item.fields.setdefault(name, value)
        self._close(frame.item, frame.anchor)

    _on_MappingEndEvent = _on_SequenceEndEvent

    def _on_AliasEvent(self, event: Any) -> None:
        line, known = event.start_mark.line + 1, self._anchors.get(event.anchor)
        self._aliases += 1
        if known is None:
            raise _Refused(line, f"*{event.anchor} names no anchor before it", f"write &{event.anchor} first")
        if self._aliases > MAX_ALIASES:
            raise _Refused(line, f"has more than {MAX_ALIASES} aliases", "write the parts out, or use macros")
        self._close(known, None)

    def _kind(self, tag: str, event: Any) -> str:
        short = tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
        if short in ("null", "bool", "int", "float"):
            return short
        if short not in _KINDS and short != "!":
            where = Where(self.source, event.start_mark.line + 1, self.path())
            self.report.error(where, f"the tag {shorten(tag)} is not obeyed", "remove it")
        return "text"

    def _open(self, kind: str, event: Any) -> None:
        line = event.start_mark.line + 1
        if len(self._stack) >= MAX_DEPTH:
            raise _Refused(line, f"is nested deeper than {MAX_DEPTH} levels", "a TracingPolicy nests 12 deep")
        if event.tag and event.tag not in ("!", _TAG + "seq", _TAG + "map"):
            self._kind(event.tag, event)
        self._stack.append(_Frame(Item(kind, line), event.anchor))

    def _close(self, item: Item, anchor: str | None) -> None:
        """A node is complete: it goes into the collection that is open."""
        if anchor:
            self._anchors[anchor] = item
        if self._stack:
            self._add(self._stack[-1], item)
        else:
            self._root = item

    def _add(self, frame: _Frame, item: Item) -> None:
        if frame.item.kind == "mapping" and frame.key is None:
            frame.key = item
            return
        frame.item.size += item.size
        if frame.item.size > MAX_NODES:
            raise _Refused(item.line, f"has more than {MAX_NODES} nodes", "split it; aliases count in full")
        if frame.item.kind == "list":
            frame.item.items.append(item)
        else:
            self._put(frame, item)

    def _put(self, frame: _Frame, item: Item) -> None:
        key, fields = frame.key, frame.item.fields
        assert key is not None
        where = Where(self.source, key.line, self.path())
        frame.key = None
        if key.items or key.fields or key.kind in ("list", "mapping"):
            self.report.error(where, "a key is a list or mapping", "keys are names")
        elif key.text == "<<":
            self._merge(frame.item, item, where)
        elif key.text in fields:
            first = fields[key.text][0]
            hint = f"first in line {first}; remove one"
            self.report.error(where, f"{shorten(key.text)} is given twice", hint)
        else:
            fields[key.text] = (key.line, item)

    def _merge(self, into: Item, item: Item, where: Where) -> None:
        """`<<: *anchor`: fields that the mapping does not give itself."""
        sources = item.items if item.kind == "list" else [item]
        if any(source.kind != "mapping" for source in sources):
            self.report.error(
                where, "<< merges something that is no mapping", "write << : *anchor of a mapping"
            )
        for source in sources:
            for name, value in source.fields.items():
                into.merged.setdefault(name, value)
