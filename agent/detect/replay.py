# SPDX-License-Identifier: Apache-2.0
"""A capture, read: lines of a log in a file, as `tracehound capture` and the agent write them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from agent.errors import UsageError


def read_capture(name: str) -> Iterator[dict[str, Any]]:
    """Records of a file; `-` is standard input. Raises UsageError with the line that is none."""
    if name == "-":
        yield from _records(sys.stdin, "(standard input)")
        return
    try:
        with Path(name).open(encoding="utf-8") as file:
            yield from _records(file, name)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}", "`tracehound capture` writes such a file") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name}: byte {error.start} is no UTF-8", "is it compressed? unpack it first"
        ) from None


def is_shaped(record: object) -> bool:
    """Whether a record has the shape of the log's lines: objects where it has objects."""
    if not isinstance(record, dict) or not isinstance(record.get("tracehound", {}), dict):
        return False
    events = [value for key, value in record.items() if key.startswith("process_")]
    return all(isinstance(one, dict) and isinstance(one.get("process", {}), dict) for one in events)


def _records(file: IO[str], name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{name}:{number}: no JSON: {error}", "one record per line") from None
        if not is_shaped(record):
            raise UsageError(f"{name}:{number}: no record of the log", "one record per line")
        record.setdefault("tracehound", {})
        yield record
