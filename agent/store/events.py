# SPDX-License-Identifier: Apache-2.0
"""What events of a row group say besides processes, time and number: each different one once. Needs pyarrow
(extra `store`)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import orjson
import pyarrow as pa

from agent.store.arrows import named, numbers, spread
from agent.store.flat import event_values
from agent.store.schema import EVENT
from agent.store.split import CUT, LINEAGE, TIME

OTHER, EXEC, EXIT, WHOLE = range(4)
"""Kinds; WHOLE is a line that was not taken apart."""
_TIME, _LINEAGE, _MARKS = TIME.encode(), LINEAGE.encode(), (CUT + LINEAGE).encode()
_DETECTION = b'"detection":'
_COLUMNS = (*EVENT, "node")
_STATUS, _SIGNAL = EVENT.index("status"), EVENT.index("signal")
_NOTHING = (None,) * (len(EVENT) - 2)

Row = tuple[Any, ...]


class Events:
    """`node` is the name of the node in all of them that were taken apart."""

    def __init__(self, node: str) -> None:
        self.text = 0
        """Bytes of the different texts."""
        self.kinds = bytearray()
        self.execs: dict[bytes, int] = {}
        """Numbers of execs by their payload."""
        self._node = node
        self._payloads: list[bytes] = []
        self._ids = array("i")
        self._values: dict[Row, int] = {}

    def new_exec(self, payload: bytes) -> int:
        """Marks, and what follows number and ancestry. Raises ValueError for what our encoder does not
        write."""
        if _DETECTION in payload:
            raise ValueError("an exec that is a detection as well")
        number = self.execs[payload] = self._put(EXEC, payload, -1)
        return number

    def new(self, kind: bytes, own: bytes, tail: bytes) -> int:
        """Type, own fields, and what follows the number. Raises ValueError and the like for what is no
        event."""
        event = orjson.loads(b"{" + own[1:].replace(_TIME, b"") + b"}")
        below = orjson.loads(b"{" + tail.removeprefix(_LINEAGE)[1:-2] + b"}") if _DETECTION in tail else {}
        values = (*event_values(kind.decode(), event, below), self._node)
        is_exit = kind == b"process_exit"
        return self._put(EXIT if is_exit else OTHER, own + _MARKS[:1] + tail, self._number(values))

    def whole(self, values: Row, payload: bytes) -> int:
        """A line that was not taken apart: values of EVENT and the node."""
        known = (value if isinstance(value, str | int | None) else None for value in values)
        return self._put(WHOLE, payload, self._number(tuple(known)))

    def exit_of(self, number: int) -> tuple[int, str]:
        """Status and signal of an exit."""
        values = self._different[self._ids[number]]
        return values[_STATUS] or 0, values[_SIGNAL] or ""

    @cached_property
    def _different(self) -> list[Row]:
        """Values of EVENT and node; ask when all events are there."""
        assert self.users is not None  # they are values as well
        return list(self._values)

    def columns(self) -> dict[str, pa.Array]:
        """One value for each event."""
        rows = self._different
        ids = numbers(self._ids, pa.int32())
        values = zip(*rows, strict=True) if rows else ((),) * len(_COLUMNS)
        found = {name: spread(named(name, value), ids) for name, value in zip(_COLUMNS, values, strict=True)}
        return found | {"payload": named("payload", self._payloads)}

    def _put(self, kind: int, payload: bytes, values: int) -> int:
        self.kinds.append(kind)
        self._ids.append(values)
        self._payloads.append(payload)
        self.text += len(payload)
        return len(self._payloads) - 1

    def _number(self, values: Row) -> int:
        return self._values.setdefault(values, len(self._values))

    @cached_property
    def users(self) -> dict[int, str]:
        """Names of users by the numbers of execs, of all at once. Ask when all events are there."""
        texts, found = [b"{%b}" % payload.lstrip(_MARKS)[1:-2] for payload in self.execs], {}
        for number, below in zip(self.execs.values(), _objects(texts), strict=True):
            user = below.get("user")
            user = user if isinstance(user, str) else None
            found[number] = user or ""
            self._ids[number] = self._number(("process_exec", user, *_NOTHING, self._node))
        return found


def _objects(texts: Sequence[bytes]) -> list[dict[str, Any]]:
    """Parsed; of what is no object an empty one."""
    try:
        found = orjson.loads(b"[" + b",".join(texts) + b"]")
        if len(found) == len(texts):
            return [one if isinstance(one, dict) else {} for one in found]
    except ValueError:
        pass
    return [_object(text) for text in texts]


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
