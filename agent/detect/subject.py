# SPDX-License-Identifier: Apache-2.0
"""What a detection is about, by the names of fields that exceptions use. Pure: asks the detection alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.detect.compile import several
from agent.detect.fields import field_of
from agent.detect.lineage import Known
from agent.detect.loglines import KIND as LINE
from agent.detect.sources import Subject
from agent.detect.views import Call, Extra

Content = Mapping[str, Any]


def values_of(content: Content) -> Callable[[str], Sequence[str]]:
    """The values of a field of a detection (docs/detections.md); none where it does not have the field. What
    a rule matched is known under the rule's own names."""
    call = _call_of(content.get("event") or {})
    matched: dict[str, list[str]] = {}
    for one in content.get("matched") or ():
        matched.setdefault(str(one.get("field", "")), []).append(str(one.get("value", "")))

    def values(field: str) -> Sequence[str]:
        read = _FIELDS.get(field)
        found = [text for text in read(content, call) if text] if read else []
        return found or matched.get(field, [])

    return values


def _call_of(event: Mapping[str, Any]) -> Extra:
    """What the views of an event of a policy add to its process; empty for an exec."""
    kind = next(iter(event), "")
    said = event.get(kind)
    if kind == "process_exec" or not isinstance(said, dict):
        return {}
    subject = Subject(dict(event), said, Known({}, {}, None))
    return {**Call(subject, "").extra("policy"), "policy": said.get("policy_name")}


def _process(name: str) -> Callable[[Content, Extra], list[str]]:
    return lambda content, _call: [_text((content.get("process") or {}).get(name))]


def _ancestor(name: str, most: int) -> Callable[[Content, Extra], list[str]]:
    return lambda content, _call: [_text(one.get(name)) for one in (content.get("ancestors") or ())[:most]]


def _of_call(name: str) -> Callable[[Content, Extra], list[str]]:
    return lambda _content, call: list(several(call.get(name)))


def _of_pod(*path: str) -> Callable[[Content, Extra], list[str]]:
    def read(content: Content, _call: Extra) -> list[str]:
        value: Any = content.get("pod") or (content.get("process") or {}).get("pod") or {}
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return [_text(value)]

    return read


def _command_line(content: Content, _call: Extra) -> list[str]:
    """Of an exec. Of another event the detection lacks the process's `argv[0]`, so it is not known as rules
    and exceptions see it."""
    event = content.get("event") or {}
    vector = (event.get("tracehound") or {}).get("arguments")
    return [" ".join(map(str, vector))] if "process_exec" in event and isinstance(vector, list) else []


def _of_line(name: str) -> Callable[[Content, Extra], list[str]]:
    """Of a line of a log, as rules ask for it."""

    def read(content: Content, _call: Extra) -> list[str]:
        event = content.get("event") or {}
        line = (event.get("tracehound") or {}).get(LINE)
        source = field_of("log", name).source
        if not isinstance(line, dict) or source is None:
            return []
        return list(several(source(Subject(dict(event), line, Known({}, {}, None)))))

    return read


def _text(value: Any) -> str:
    return "" if value is None else str(value)


_FIELDS: Mapping[str, Callable[[Content, Extra], list[str]]] = {
    "Image": _process("binary"),
    "CommandLine": _command_line,
    "CurrentDirectory": _process("cwd"),
    "ParentImage": _ancestor("binary", 1),
    "Ancestors": _ancestor("binary", 512),
    "TargetFilename": _of_call("path"),
    "DestinationIp": _of_call("destination_ip"),
    "DestinationPort": _of_call("destination_port"),
    "Policy": _of_call("policy"),
    "Namespace": _of_pod("namespace"),
    "Pod": _of_pod("name"),
    "Workload": _of_pod("workload"),
    "ContainerImage": _of_pod("container", "image", "name"),
    **{name: _of_line(name) for name in ("Program", "Source", "Unit", "Service", "Line", "Message")},
}
