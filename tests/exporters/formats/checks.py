# SPDX-License-Identifier: Apache-2.0
"""Whether a document is what its schema says: by the published definitions, not by what we think of them.

Each check gives the list of what is wrong with a document, empty when nothing is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import pycef
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from exporters.formats.ocsf.classes import VERSION
from exporters.formats.otel import OtelEvent

HERE = Path(__file__).resolve().parent


@cache
def _compiled() -> Any:
    """The schema as its authors' compiler makes it."""
    return get_ocsf_schema(version=VERSION)


@cache
def _ocsf() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(_compiled())


@cache
def _ocsf_validator(class_uid: int, profiles: tuple[str, ...]) -> jsonschema_rs.Draft202012Validator:
    schema = _ocsf().get_class_schema(_ocsf().lookup_class_name_from_uid(class_uid), list(profiles))
    return jsonschema_rs.Draft202012Validator(_without_deprecated(schema))


def _without_deprecated(schema: Any) -> Any:
    """The schema with what is deprecated forbidden: new producers must not send it."""
    if isinstance(schema, list):
        return [_without_deprecated(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: False
        if isinstance(value, dict) and value.get("deprecated") is True
        else _without_deprecated(value)
        for key, value in schema.items()
    }


def ocsf_errors(body: bytes) -> list[str]:
    """By the JSON schema of the document's class and profiles, unknown attributes refused, and by the
    captions that go with numbers."""
    document = orjson.loads(body)
    validator = _ocsf_validator(document["class_uid"], tuple(document["metadata"].get("profiles", ())))
    found = [
        f"{'.'.join(map(str, one.instance_path))}: {one.message[:300]}"
        for one in validator.iter_errors(document)
    ]
    name = _ocsf().lookup_class_name_from_uid(document["class_uid"])
    attributes = _compiled()["classes"][name]["attributes"]
    for key in ("activity", "severity", "status", "action", "disposition"):
        number, caption = (
            document.get(f"{key}_id"),
            document.get("activity_name" if key == "activity" else key),
        )
        if number not in (None, 99) and attributes[f"{key}_id"]["enum"][str(number)]["caption"] != caption:
            found.append(f"{key}_id {number} is not {caption}")
    if document["type_uid"] != document["class_uid"] * 100 + document["activity_id"]:
        found.append("type_uid")
    return found


@cache
def _ecs() -> dict[str, Any]:
    definitions: dict[str, Any] = json.loads((HERE / "ecs.json").read_text())
    return definitions


_ECS_TYPES: dict[str, tuple[type, ...]] = {
    "keyword": (str,),
    "wildcard": (str,),
    "match_only_text": (str,),
    "constant_keyword": (str,),
    "ip": (str,),
    "date": (str,),
    "long": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "flattened": (dict,),
}


def ecs_errors(body: bytes) -> list[str]:
    """By ecs_flat.yml: names, types, arrays, allowed values, and which event types go with a category."""
    document = orjson.loads(body)
    found = [error for name, value in _leaves("", document) for error in _ecs_field(name, value)]
    event = document["event"]
    expected = {one for category in event.get("category", []) for one in _ecs()["types"][category]}
    found += [
        f"event.type {one} for {event['category']}" for one in event.get("type", []) if one not in expected
    ]
    return found


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and prefix != "tracehound":
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else key, inner)
    elif prefix != "tracehound":
        yield prefix, value


def _ecs_field(name: str, value: Any) -> Iterator[str]:
    if name not in _ecs()["fields"]:
        yield f"{name} is no field of ECS"
        return
    kind, is_array, *allowed = _ecs()["fields"][name]
    if is_array != isinstance(value, list):
        yield f"{name} is an array or ought to be one"
    for one in value if isinstance(value, list) else [value]:
        if type(one) not in _ECS_TYPES[kind]:
            yield f"{name} is a {kind}, not {one!r}"
        if allowed and one not in allowed[0]:
            yield f"{name} cannot be {one!r}"
        if kind == "ip" and not re.fullmatch(r"[0-9a-f.:]+", one):
            yield f"{name} is no address: {one!r}"


@cache
def _semconv() -> dict[str, Any]:
    attributes: dict[str, Any] = json.loads((HERE / "semconv.json").read_text())["attributes"]
    return attributes


_OTEL_TYPES = {"string": (str,), "int": (int,), "boolean": (bool,), "double": (float,)}
_OPEN = ("network.transport",)
"""Enumerations that say that other values may be used."""


def otel_errors(event: OtelEvent) -> list[str]:
    """By the registry of the semantic conventions; severities by the logs data model."""
    found = [error for name, value in event.attributes.items() for error in _otel_attribute(name, value)]
    if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)+", event.name):
        found.append(f"name {event.name!r}")
    if not 1 <= event.severity_number <= 24 or type(event.body) is not str:
        found.append("severity or body")
    return found


def _otel_attribute(name: str, value: Any) -> Iterator[str]:
    if name.startswith("tracehound."):
        if type(value) not in (str, int, bool, float) and not all(type(one) is str for one in value):
            yield f"{name}: {value!r}"
        return
    kind = _semconv().get(name)
    for template in ("process.environment_variable", "k8s.pod.label"):
        if name.startswith(f"{template}."):
            kind = _semconv()[template].removeprefix("template[").removesuffix("]")
    if kind is None:
        yield f"{name} is no attribute"
    elif isinstance(kind, list):
        if value not in kind and (name not in _OPEN or type(value) is not str):
            yield f"{name} cannot be {value!r}"
    elif kind.endswith("[]"):
        if type(value) is not list or any(type(one) not in _OTEL_TYPES[kind[:-2]] for one in value):
            yield f"{name} is {kind}, not {value!r}"
    elif type(value) not in _OTEL_TYPES[kind]:
        yield f"{name} is {kind}, not {value!r}"


_CEF = re.compile(
    r"CEF:0\|Tracehound\|Tracehound\|(?:[^|\\\r\n]|\\[|\\])+\|((?:[^|\\\r\n]|\\[|\\])+)"
    r"\|((?:[^|\\\r\n]|\\[|\\])+)\|(\d+)\|(.*)"
)
_CEF_PAIR = re.compile(r"([A-Za-z0-9]+)=((?:[^=\\\r\n]|\\[=\\nr])*?)(?= [A-Za-z0-9]+=|$)")
_UNESCAPED = {"\\=": "=", "\\\\": "\\", "\\n": "\n", "\\r": "\r"}


def cef_fields(line: bytes) -> dict[str, str]:
    """Class id, name, severity and the values of the extension, unescaped. Raises ValueError."""
    match = _CEF.fullmatch(line.decode())
    if match is None:
        raise ValueError(f"no CEF: {line!r}")
    pairs = list(_CEF_PAIR.finditer(match[4]))
    if " ".join(pair[0] for pair in pairs) != match[4]:
        raise ValueError(f"no CEF extension: {match[4]!r}")
    found = {pair[1]: re.sub(r"\\[=\\nr]", lambda one: _UNESCAPED[one[0]], pair[2]) for pair in pairs}
    return {"class": match[1], "name": match[2], "severity": match[3], **found}


def cef_errors(line: bytes) -> list[str]:
    """By the grammar of the standard, and by what an independent parser makes of ordinary lines."""
    try:
        fields = cef_fields(line)
    except ValueError as error:
        return [str(error)]
    found = [] if 0 <= int(fields["severity"]) <= 10 else ["severity"]
    if b"\\" not in line and line.count(b"|") == 7:
        parsed = pycef.parse(line.decode()) or {}
        found += [
            key
            for key in ("rt", "dvchost", "msg")
            if fields.get(key, "").strip() != parsed.get(key, "").strip()
        ]
    return found
