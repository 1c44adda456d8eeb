# SPDX-License-Identifier: Apache-2.0
"""Takes from the published schemas of ECS and OpenTelemetry what the tests compare documents with.

python -m tests.exporters.formats.definitions ECS_CLONE SEMCONV_CLONE

writes ecs.json and semconv.json anew, from clones of github.com/elastic/ecs (tag v9.4.0) and
github.com/open-telemetry/semantic-conventions (tag v1.44.0). Both are under the Apache License 2.0, which the
files say of themselves. OCSF needs none: the package ocsf-json-schema carries the whole schema.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ECS_TAG, SEMCONV_TAG = "v9.4.0", "v1.44.0"
_ECS_SETS = frozenset(
    [
        "@timestamp",
        "message",
        "tags",
        "agent",
        "container",
        "destination",
        "ecs",
        "error",
        "event",
        "file",
        "host",
        "network",
        "orchestrator",
        "process",
        "rule",
        "source",
        "threat",
        "user",
    ]
)
_ECS_LEFT_OUT = (
    "process.entry_leader",
    "process.entry_meta",
    "process.previous",
    "process.io",
    "threat.enrichments",
    "threat.indicator",
    "destination.geo",
    "destination.as",
    "source.geo",
    "source.as",
    "host.geo",
    "file.elf",
    "file.macho",
    "file.pe",
    "file.x509",
    "process.elf",
    "process.macho",
    "process.pe",
    "process.parent.elf",
    "process.parent.macho",
    "process.parent.pe",
)
_SEMCONV_SETS = ("container", "file", "host", "k8s", "log", "network", "process", "security-rule")


def main() -> None:
    """Writes both files."""
    ecs, semconv = (Path(argument) for argument in sys.argv[1:3])
    _write("ecs.json", ecs_definitions(_show(ecs, ECS_TAG, "generated/ecs/ecs_flat.yml")))
    registries = [_show(semconv, SEMCONV_TAG, f"model/{one}/registry.yaml") for one in _SEMCONV_SETS]
    _write("semconv.json", semconv_definitions(registries))


def ecs_definitions(text: str) -> dict[str, Any]:
    """Type of each field, whether it is an array, and allowed values; types of events by category."""
    flat = yaml.load(text, Loader=yaml.CSafeLoader)
    fields, types = {}, {}
    for name, field in flat.items():
        if name.split(".")[0] not in _ECS_SETS or name.startswith(_ECS_LEFT_OUT):
            continue
        fields[name] = [field["type"], "array" in field.get("normalize", [])]
        allowed = field.get("allowed_values", [])
        if allowed:
            fields[name].append([value["name"] for value in allowed])
        if name == "event.category":
            types = {value["name"]: value["expected_event_types"] for value in allowed}
    return {
        "about": _about("Elastic Common Schema", ECS_TAG, "elastic/ecs"),
        "fields": fields,
        "types": types,
    }


def semconv_definitions(registries: list[str]) -> dict[str, Any]:
    """Type of each attribute: its name, or the members of an enumeration."""
    found: dict[str, Any] = {}
    for text in registries:
        for group in yaml.safe_load(text)["groups"]:
            for attribute in group.get("attributes", []):
                kind = attribute.get("type")
                members = kind.get("members") if isinstance(kind, dict) else None
                found[attribute["id"]] = [member["value"] for member in members] if members else kind
    about = _about("OpenTelemetry Semantic Conventions", SEMCONV_TAG, "open-telemetry/semantic-conventions")
    return {"about": about, "attributes": found}


def _about(name: str, tag: str, repository: str) -> str:
    return (
        f"Taken from {name} {tag}, github.com/{repository}, Apache License 2.0, by definitions.py; "
        "only names, types and allowed values"
    )


def _show(clone: Path, tag: str, path: str) -> str:
    command = ["git", f"--git-dir={clone}", "show", f"{tag}:{path}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _write(name: str, content: dict[str, Any]) -> None:
    rows = {key: value for key, value in content.items() if isinstance(value, dict)}
    lines = [f' "about": {json.dumps(content["about"])}']
    for key, row in rows.items():
        body = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(row.items()))
        lines.append(f" {json.dumps(key)}: {{\n{body}\n }}")
    (HERE / name).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
