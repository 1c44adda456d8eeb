# SPDX-License-Identifier: Apache-2.0
"""How long a record for the log may be.

Whoever starts processes chooses their arguments, and a detection shows the whole ancestry: without a bound
one chain of processes with long arguments makes a line that no reader takes."""

from __future__ import annotations

from typing import Any

import orjson

MOST_BYTES = 2 << 20
"""Of a record. Arguments of 256 KiB (`kernel.arguments_bytes`) stand in a detection five times."""
STEPS = (16_384, 2_048, 256, 64)
"""Characters of a text, and entries of a list, that are left: the first that is short enough is taken."""


def fitted(content: dict[str, Any]) -> dict[str, Any]:
    """The content itself where it is short enough; else a copy whose long texts and lists are cut, with
    `cut`: to how many characters or entries."""
    found = content
    for most in STEPS:
        if len(orjson.dumps(found)) <= MOST_BYTES:
            break
        found = {**_cut(content, most), "cut": most}
    return found


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value[:most]
    if isinstance(value, dict):
        return {key: _cut(one, most) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(one, most) for one in value[:most]]
    return value
