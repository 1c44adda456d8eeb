# SPDX-License-Identifier: Apache-2.0
"""YAML files as assignments to dotted keys, each with its line; all problems of a file at once.

PyYAML is imported only when there is a file to read: most commands never need it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.configuration.keys import KEYS, SECTIONS
from agent.configuration.values import Raw, shorten

if TYPE_CHECKING:
    import yaml

MAX_FILE_BYTES = 1 << 20
"""Larger files are refused: settings have about a hundred lines."""

_FORMS = {"null": "null", "bool": "bool", "int": "number", "float": "number", "str": "text"}


class Assignment(NamedTuple):
    """One value for one key."""

    key: str
    """Dotted name; always one of KEYS."""
    raw: Raw


def read_document(path: Path, problems: list[str]) -> list[Assignment]:
    """The assignments of one file; what is wrong with it is appended to `problems`."""
    text = _read_text(path, problems)
    root = _compose(path, text, problems) if text else None
    return list(_Walker(path, problems).section(root, "")) if root is not None else []


def unknown_key(name: str) -> str:
    """`unknown key` with the closest known one."""
    section, _, leaf = name.rpartition(".")
    siblings = [key for key in (*KEYS, *SECTIONS) if key.rpartition(".")[0] == section]
    near = (
        [key for key in KEYS if key.replace(".", "_") == name]
        or difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)
        or [key for key in KEYS if key.rpartition(".")[2] == leaf]
        or difflib.get_close_matches(name.replace("_", "."), list(KEYS), n=1, cutoff=0.7)
    )
    return f'unknown key; did you mean "{near[0]}"?' if near else "unknown key; docs/settings.md lists all"


def _read_text(path: Path, problems: list[str]) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return ""
    if len(data) > MAX_FILE_BYTES:
        problems.append(f"{path}: is longer than {MAX_FILE_BYTES} bytes; settings have about a hundred lines")
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8")
        return ""


def _compose(path: Path, text: str, problems: list[str]) -> yaml.Node | None:
    import yaml

    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        lines = text.splitlines()
        offending = lines[line - 1].strip() if line <= len(lines) else ""
        context = f" ({error.context})" if error.context else ""
        problems.append(f"{path}:{line}: {shorten(offending)}: not valid YAML: {error.problem}{context}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.append(f"{path}:{line}: character U+{error.character:04X} is not allowed in YAML; remove it")
    except RecursionError:
        problems.append(f"{path}: nested too deeply; settings have two levels")
    return None


class _Walker:
    """Walks the nodes of one file."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems

    def section(self, node: yaml.Node, prefix: str) -> Iterator[Assignment]:
        """The assignments of a mapping whose keys start with `prefix` (empty, or ending with a dot)."""
        import yaml

        if isinstance(node, yaml.ScalarNode) and _form(node) == "null":
            return  # a section whose lines are all commented out
        if not isinstance(node, yaml.MappingNode):
            what = f"{prefix[:-1]}: " if prefix else ""
            self._problem(node, f"{what}expected a mapping of keys to values")
            return
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            name = self._name(key_node, prefix, seen)
            if name in SECTIONS:
                yield from self.section(value_node, name + ".")
            elif name:
                yield Assignment(name, _raw(value_node, f"{self.path}:{key_node.start_mark.line + 1}"))

    def _name(self, node: yaml.Node, prefix: str, seen: dict[str, int]) -> str:
        """The dotted key of a line, or nothing when it is unknown or stands there twice."""
        written = str(node.value) if _form(node) != "list" else "?"
        name, line = prefix + written, node.start_mark.line + 1
        if name in seen:
            self._problem(node, f"{shorten(name)}: given twice, first in line {seen[name]}; remove one")
            return ""
        seen[name] = line
        if "." not in written and (name in SECTIONS or name in KEYS):
            return name
        if name in KEYS:
            section, _, leaf = name.rpartition(".")
            self._problem(node, f"{name}: write it nested: {section}: {{{leaf}: …}}")
        else:
            self._problem(node, f"{shorten(name)}: {unknown_key(name)}")
        return ""

    def _problem(self, node: yaml.Node, text: str) -> None:
        self.problems.append(f"{self.path}:{node.start_mark.line + 1}: {text}")


def _form(node: yaml.Node) -> str:
    kind = str(node.tag).rpartition(":")[2]
    return {"seq": "list", "map": "mapping"}.get(kind, _FORMS.get(kind, kind))


def _raw(node: yaml.Node, where: str) -> Raw:
    import yaml

    if isinstance(node, yaml.ScalarNode):
        return Raw(str(node.value), _form(node), (), where)
    if isinstance(node, yaml.SequenceNode):
        return Raw("", "list", tuple(_flat(item, where) for item in node.value), where)
    return Raw("", "mapping", (), where)


def _flat(node: yaml.Node, where: str) -> Raw:
    """An element of a list; lists do not nest in settings."""
    import yaml

    text = str(node.value) if isinstance(node, yaml.ScalarNode) else "a nested value"
    return Raw(text, _form(node), (), where)
