# SPDX-License-Identifier: Apache-2.0
"""`struct task_record`: a process that was there before us, from the task iterator."""

from __future__ import annotations

from struct import Struct

from agent.decode.header import FACTS_FIELDS, FACTS_FORMAT, HEAD_FORMAT, facts_from
from agent.events import Head, Task

TASK = Struct("=" + HEAD_FORMAT + FACTS_FORMAT + "8x")


def decode_tasks(raw: bytes) -> list[Task]:
    """All whole records of an iterator's output."""
    whole = len(raw) - len(raw) % TASK.size
    return [
        Task(Head._make(values[:9]), facts_from(values[9 : 9 + FACTS_FIELDS]))
        for values in TASK.iter_unpack(raw[:whole])
    ]
