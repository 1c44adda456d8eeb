# SPDX-License-Identifier: Apache-2.0
"""A YAML file as plain values, and the line of each of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

MOST_BYTES = 1 << 20
"""Larger files are refused: an exporter has about thirty lines."""


class _Loader(yaml.SafeLoader):
    """Leaves times as text: they are compared, cut and shown as they were written."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (the attribute of the class above, read by PyYAML)
        first: [(tag, test) for tag, test in tests if tag != "tag:yaml.org,2002:timestamp"]
        for first, tests in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class Document(NamedTuple):
    """One file."""

    path: Path
    values: dict[str, Any]
    """Its keys; times are text."""
    lines: dict[str, int]
    """Line of each key, by dotted name (`tls.ca_file`), beginning at 1."""

    def place(self, key: str) -> str:
        """`FILE:LINE` of a key, or of the nearest one above it that stands in the file."""
        while key and key not in self.lines:
            key = key.rpartition(".")[0]
        return f"{self.path}:{self.lines[key]}" if key else str(self.path)


def read_yaml(path: Path, problems: list[str]) -> Document | None:
    """None when it is no mapping; what is wrong with the file is appended to `problems`."""
    try:
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            raise ValueError(f"is {len(data)} bytes long, which is more than {MOST_BYTES}")
        loader = _Loader(data.decode("utf-8-sig"))
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise ValueError("is no mapping; the first line may be `type: stdout`")
        lines: dict[str, int] = {}
        _walk(node, "", path, lines, problems)
        return Document(path, loader.construct_document(node), lines)
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.append(f"{path}:{mark.line + 1 if mark else 1}: is no YAML: {error.problem or error}")
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        problems.append(f"{path}: {error}")
    return None


def _walk(node: yaml.MappingNode, above: str, path: Path, lines: dict[str, int], problems: list[str]) -> None:
    for key, value in node.value:
        name = f"{above}{key.value}"
        line = key.start_mark.line + 1
        if name in lines:
            problems.append(f"{path}:{line}: {name} stands in line {lines[name]} already")
        lines[name] = line
        if isinstance(value, yaml.MappingNode):
            _walk(value, f"{name}.", path, lines, problems)
