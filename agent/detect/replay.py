# SPDX-License-Identifier: Apache-2.0
"""A capture, read: lines of a log in a file, as `tracehound capture` and the agent write them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from agent.errors import UsageError


def read_capture(name: str) -> Iterator[dict[str, Any]]:
    """Records of a file; `-` is standard input. Raises UsageError with the line that is none."""
    if name == "-":
        yield from _records(sys.stdin.buffer, "(standard input)")
        return
    try:
        with Path(name).open("rb") as file:
            yield from _records(file, name)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}", "`tracehound capture` writes such a file") from None


def is_shaped(record: object) -> bool:
    """Whether a record has the shape of the log's lines: objects where it has objects."""
    if not isinstance(record, dict) or not isinstance(record.get("tracehound", {}), dict):
        return False
    events = [value for key, value in record.items() if key.startswith("process_")]
    return all(isinstance(one, dict) and isinstance(one.get("process", {}), dict) for one in events)


def _records(file: IO[bytes], name: str) -> Iterator[dict[str, Any]]:
    """What the log's own readers take, and no more: no lone surrogates, no nesting without end."""
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            compressed = number == 1 and b"\0" in line
            hint = "is it compressed? unpack it first" if compressed else "one record per line"
            raise UsageError(f"{name}:{number}: no JSON: {error}", hint) from None
        if not is_shaped(record):
            raise UsageError(f"{name}:{number}: no record of the log", "one record per line")
        record.setdefault("tracehound", {})
        yield record
