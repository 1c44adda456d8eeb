# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the settings, for who writes them elsewhere than in the agent's own file: names and types,
so that a slip of the pen is refused before it is on every node. Whether a value is a good one the agent says.

    python -m agent.configuration.schema charts/tracehound/values.schema.json     puts it into the chart
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from agent.configuration.keys import KEYS, Key

Schema = dict[str, Any]

_TYPES = {
    "bool": ["boolean"],
    "count": ["integer", "string"],
    "number": ["number", "string"],
    "size": ["integer", "string"],
    "duration": ["number", "string"],
    "text": ["string"],
    "list": ["array"],
}
"""By kind of value. Numbers may stand in quotes, sizes and durations have units: `20GiB`, `1h`."""


def settings_schema() -> Schema:
    """Of the whole file."""
    top = _section()
    for key in KEYS.values():
        *path, last = key.name.split(".")
        place = top
        for name in path:
            place = place["properties"].setdefault(name, _section())
        place["properties"][last] = _value(key)
    return top


def _section() -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _value(key: Key) -> Schema:
    types = _TYPES[key.kind] + (["null"] if key.optional else [])
    found: Schema = {"type": types[0] if len(types) == 1 else types}
    return {**found, "items": {"type": "string"}} if key.kind == "list" else found


def put_into(values_schema: Schema) -> Schema:
    """The schema of a chart's values with `settings` as they are now."""
    return {
        **values_schema,
        "properties": {**values_schema["properties"], "settings": settings_schema()},
    }


def main(argv: list[str]) -> int:
    """Writes the file anew."""
    path = Path(argv[0])
    made = put_into(json.loads(path.read_text()))
    path.write_text(json.dumps(made, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
