# SPDX-License-Identifier: Apache-2.0
"""What a detection is about, by the names of fields that exceptions use. Pure: asks the detection alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.store.flat import COLUMNS, flatten

Content = Mapping[str, Any]
_PLACE = {name: place for place, name in enumerate(COLUMNS)}


def values_of(content: Content) -> Callable[[str], Sequence[str]]:
    """The values of a field of a detection (docs/detections.md); none where it does not have the field. What
    a rule matched is known under the rule's own names."""
    row = flatten(content.get("event") or {}, "")
    matched: dict[str, list[str]] = {}
    for one in content.get("matched") or ():
        matched.setdefault(str(one.get("field", "")), []).append(str(one.get("value", "")))

    def values(field: str) -> Sequence[str]:
        read = _FIELDS.get(field)
        found = [text for text in read(content, row) if text] if read else []
        return found or matched.get(field, [])

    return values


def _process(name: str) -> Callable[[Content, Sequence[Any]], list[str]]:
    return lambda content, row: [_text((content.get("process") or {}).get(name))]


def _ancestor(name: str, most: int) -> Callable[[Content, Sequence[Any]], list[str]]:
    return lambda content, row: [_text(one.get(name)) for one in (content.get("ancestors") or ())[:most]]


def _column(name: str) -> Callable[[Content, Sequence[Any]], list[str]]:
    return lambda content, row: [_text(row[_PLACE[name]])]


def _of_pod(*path: str) -> Callable[[Content, Sequence[Any]], list[str]]:
    def read(content: Content, _row: Sequence[Any]) -> list[str]:
        value: Any = content.get("pod") or (content.get("process") or {}).get("pod") or {}
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return [_text(value)]

    return read


def _command_line(content: Content, _row: Sequence[Any]) -> list[str]:
    event = content.get("event") or {}
    vector = (event.get("tracehound") or {}).get("arguments")
    if "process_exec" in event and isinstance(vector, list):
        return [" ".join(map(str, vector))]
    process = content.get("process") or {}
    return [f"{process.get('binary', '')} {process.get('arguments', '')}".strip()]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


_FIELDS: Mapping[str, Callable[[Content, Sequence[Any]], list[str]]] = {
    "Image": _process("binary"),
    "CommandLine": _command_line,
    "CurrentDirectory": _process("cwd"),
    "ParentImage": _ancestor("binary", 1),
    "Ancestors": _ancestor("binary", 512),
    "TargetFilename": _column("path"),
    "DestinationIp": _column("address"),
    "DestinationPort": _column("port"),
    "Policy": _column("policy"),
    "Namespace": _of_pod("namespace"),
    "Pod": _of_pod("name"),
    "Workload": _of_pod("workload"),
    "ContainerImage": _of_pod("container", "image", "name"),
}
