# SPDX-License-Identifier: Apache-2.0
"""Documents as columns of the flat table, as the server's types want them. Pure.

`anc` holds cityHash64 of the process's exec_id and of its ancestors', itself first: trees and what a subtree
did are then one condition, `has(anc, cityHash64('<exec_id>'))`. The function is ClickHouse's own (its
documentation, "Hash functions": CityHash 1.0.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from agent.store.flat import COLUMNS, flatten
from exporters.base import Document

ESSENTIAL = ("time", "sequence", "boot_id", "type", "node", "exec_id", "payload")
"""Without these a table cannot tell what arrived; everything else also stands in `payload`."""
ALL = (*COLUMNS, "anc", "payload")
_KNOWN_HASHES = 1 << 16
_NUMBERS = frozenset({"time", "sequence", "pid", "uid", "auid", "port", "local_port", "status"})
_ARRAYS = frozenset({"ancestry", "anc"})
_NANOSECONDS = re.compile(r"DateTime64\(9\b.*|U?Int64")

Hash = Callable[[bytes], int]


class Column(NamedTuple):
    """A column that is written."""

    name: str
    empty: Any
    """What stands for an absent value; None where the column takes NULL."""


def choose(types: Mapping[str, str]) -> tuple[list[Column], list[str], str]:
    """Columns to write into a table with these (name to type), those of ours that it lacks, and why it is no
    good at all; empty when it is."""
    missing = [name for name in ALL if name not in types]
    columns = [Column(name, _empty(types[name])) for name in ALL if name in types]
    needed = [name for name in ESSENTIAL if name not in types]
    if needed:
        return columns, missing, f"the table has no column {', '.join(needed)}"
    if not _NANOSECONDS.fullmatch(types["time"]):
        return columns, missing, f"the column time is {types['time']}: it has to be DateTime64(9, 'UTC')"
    others = [name for name in ALL if name in types and not _fits(name, types[name])]
    return columns, missing, f"the type of {', '.join(others)} is another one" if others else ""


def _fits(name: str, type_: str) -> bool:
    """Whether our values can go into such a column; a text in a number would fail with each event."""
    if name in _ARRAYS:
        return type_.startswith("Array(")
    return name == "time" or ("Int" in type_ if name in _NUMBERS else "String" in type_)


class Rows:
    """Makes columns; keeps the hashes of exec_ids, which come again with each event of a process."""

    def __init__(self, hash64: Hash) -> None:
        self._hash = lru_cache(_KNOWN_HASHES)(lambda text: hash64(text.encode()))

    def columns(self, batch: Sequence[Document], wanted: Sequence[Column]) -> list[list[Any]]:
        """One list per wanted column, each as long as the batch."""
        rows = [flatten(doc.record, doc.boot_id) for doc in batch]
        found: dict[str, Sequence[Any]] = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
        # Taken from the document, because field selection may have removed them from the record.
        found["time"] = [doc.time_ns for doc in batch]
        found["sequence"] = [doc.sequence for doc in batch]
        found["node"] = [doc.node_name for doc in batch]
        found["type"] = [doc.type for doc in batch]
        found["payload"] = [doc.body.decode() for doc in batch]
        found["anc"] = [
            self._lineage(doc.record, own, parent)
            for doc, own, parent in zip(batch, found["exec_id"], found["parent_exec_id"], strict=True)
        ]
        return [_filled(found[column.name], column.empty) for column in wanted]

    def _lineage(self, record: Mapping[str, Any], exec_id: str | None, parent: str | None) -> list[int]:
        if not exec_id:
            return []
        hash64 = self._hash
        above = (record.get("tracehound") or {}).get("ancestry") or (parent,)
        return [hash64(exec_id), *[hash64(one) for one in above if one]]


def _filled(values: Sequence[Any], empty: Any) -> list[Any]:
    return list(values) if empty is None else [empty if value is None else value for value in values]


def _empty(type_: str) -> Any:
    if "Nullable(" in type_:
        return None
    if type_.startswith("Array"):
        return []
    return "" if "String" in type_ else 0
