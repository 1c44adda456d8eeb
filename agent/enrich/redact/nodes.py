# SPDX-License-Identifier: Apache-2.0
"""Reading a YAML file with a problem list: every complaint names file and line, none ends the reading."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is absent from some builds of PyYAML

Reader = Callable[[yaml.Node], object]
"""Turns a node into a value, or notes a problem and returns None."""


MOST_BYTES = 1 << 20
"""Larger files are refused: the built-in rules have some 20 KiB."""


class _TooLong(Exception):
    """A file that is not read to its end."""


class Nodes:
    """The nodes of one file, and what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def root(self) -> yaml.Node | None:
        """The document's only node; None and a problem when the file cannot be read or is empty."""
        try:
            node = yaml.compose(self._text(), Loader=_LOADER)
        except _TooLong as error:
            self.problems.append(str(error))
        except OSError as error:
            self.problems.append(f"{self.path}: {error.strerror}")
        except UnicodeDecodeError as error:
            self.problems.append(f"{self.path}: not UTF-8 at byte {error.start}")
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or getattr(error, "reason", error)
            self.problems.append(f"{self.path}:{mark.line + 1 if mark else 1}: {reason}")
        else:
            if node is None:
                self.problems.append(f"{self.path}:1: the file is empty")
            return node
        return None

    def _text(self) -> str:
        with self.path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise _TooLong(f"{self.path}: is longer than {MOST_BYTES} bytes: split it")
        return data.decode()

    def where(self, node: yaml.Node) -> str:
        """The node's place as `file:line`."""
        return f"{self.path}:{node.start_mark.line + 1}"

    def problem(self, node: yaml.Node, text: str) -> None:
        """Notes what is wrong with this node."""
        self.problems.append(f"{self.where(node)}: {text}")

    def mapping(
        self, node: yaml.Node, readers: Mapping[str, Reader], required: Collection[str]
    ) -> dict[str, object]:
        """The mapping's values, read by each key's reader."""
        found: dict[str, object] = {}
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, f"a mapping is expected, with the keys {', '.join(readers)}")
            return found
        for key, child in node.value:
            name = str(key.value)
            if name not in readers:
                self.problem(key, _unknown(name, readers))
            elif name in found:
                self.problem(key, f"key {name!r} stands here twice")
            else:
                found[name] = readers[name](child)
        for name in required:
            if name not in found:
                self.problem(node, f"key {name!r} is missing")
        return found

    def items(self, node: yaml.Node) -> list[yaml.Node]:
        """The nodes of a list that is not empty."""
        if isinstance(node, yaml.SequenceNode) and node.value:
            return list(node.value)
        self.problem(node, "a list with at least one item is expected")
        return []

    def text(self, node: yaml.Node) -> str | None:
        """A text that is not empty."""
        if isinstance(node, yaml.ScalarNode) and node.value:
            return str(node.value)
        self.problem(node, "a text is expected")
        return None

    def texts(self, node: yaml.Node) -> tuple[str | None, ...]:
        """A list of texts."""
        return tuple(self.text(item) for item in self.items(node))

    def switch(self, node: yaml.Node) -> bool | None:
        """true or false."""
        if isinstance(node, yaml.ScalarNode) and node.value in ("true", "false"):
            return bool(node.value == "true")
        self.problem(node, "true or false is expected")
        return None

    def regex(self, node: yaml.Node, flags: int = 0) -> re.Pattern[str] | None:
        """A compiled regular expression; its classes (`\\w`) are ASCII's."""
        text = self.text(node)
        try:
            return None if text is None else re.compile(text, re.ASCII | flags)
        except (re.error, OverflowError, RecursionError) as error:
            self.problem(node, f"bad regular expression {text!r}: {error}")
            return None


def _unknown(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
    return f"unknown key {name!r}; {hint}"
