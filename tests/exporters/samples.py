# SPDX-License-Identifier: Apache-2.0
"""Documents made of recorded lines, numbered anew, as the runner hands them to a destination."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import orjson

from agent.log.times import parse_time
from exporters.base import Document

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
BOOT = "8b0c5a0e-0000-4000-8000-000000000001"


@cache
def recorded() -> list[bytes]:
    """Lines of execs and exits that our agent wrote."""
    files = [
        GOLDEN / "exec" / "plain.jsonl",
        GOLDEN / "exec" / "container.jsonl",
        GOLDEN / "exit" / "plain.jsonl",
    ]
    return [line for file in files if file.exists() for line in file.read_bytes().splitlines()]


def document(record: dict[str, Any], body: bytes | None = None) -> Document:
    """A record as a document in the format `json`."""
    own = record["tracehound"]
    kind = next(iter(record))
    kind = kind if kind != "tracehound" else next(key for key in own if key != "sequence")
    process = record.get(kind, {}).get("process", {})
    key = process.get("docker") or process.get("exec_id") or record["node_name"]
    body = orjson.dumps(record) if body is None else body
    return Document(
        record, body, kind, parse_time(record["time"]), own["sequence"], BOOT, record["node_name"], key
    )


def documents(count: int, first: int = 1) -> list[Document]:
    """`count` documents with rising sequence numbers."""
    lines = recorded()
    found = []
    for number in range(first, first + count):
        record = orjson.loads(lines[number % len(lines)])
        record["tracehound"]["sequence"] = number
        found.append(document(record))
    return found


def loss(sequence: int) -> Document:
    """An own record."""
    own = {"sequence": sequence, "loss": {"cause": "ring_full", "count": 3}}
    return document({"tracehound": own, "node_name": "golden", "time": "2026-01-01T02:04:10Z"})
