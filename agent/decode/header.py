# SPDX-License-Identifier: Apache-2.0
"""`struct record_header` and `struct task_facts` of kprobes/include/wire.h.

The layouts stand here as struct formats because the hot path needs them prebuilt; a test compares every size
and offset with the object's own BTF.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Any

from agent.events import Credentials, Head, TaskFacts

KIND_EXEC, KIND_FORK, KIND_EXIT, KIND_CHUNK, KIND_TASK = 1, 2, 3, 4, 5
KIND_HOOK, KIND_HOOK_DATA = 7, 8
KIND_CGROUP = 9

HEAD_FORMAT = "B3xIQIIQIIQ"
HEAD = Struct("=" + HEAD_FORMAT)
FACTS_FORMAT = "8I4Q2I10IQ2I16s"
FACTS_FIELDS = 28
"""Values that FACTS_FORMAT unpacks to."""


def facts_from(values: tuple[Any, ...]) -> TaskFacts:
    """Facts from the unpacked values of FACTS_FORMAT."""
    return TaskFacts(
        Credentials._make(values[:13]),
        values[13],
        values[14:24],
        values[24],
        values[25],
        values[26],
        values[27].rstrip(b"\0"),
    )


def head_from(values: tuple[int, ...]) -> Head:
    """Head from the unpacked values of HEAD_FORMAT."""
    return Head._make(values)


def images_of(records: Iterable[bytes], kind: int) -> Iterator[tuple[int, int]]:
    """(tgid, image_ktime) of each record of one kind."""
    for raw in records:
        if len(raw) >= HEAD.size and raw[0] == kind:
            head = Head._make(HEAD.unpack_from(raw))
            yield head.tgid, head.image_ktime
