# SPDX-License-Identifier: Apache-2.0
"""A timeline without the words that people typed: for tickets that more people read than the log.

What redaction found is hidden in the log already (docs/redaction.md). This leaves out all arguments, texts
and buffers, whatever they hold; programs, paths, addresses, users and times stay.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from agent.store.answers import Happening, Process, Timeline, Tree
from agent.store.report.lanes import content_of

HIDDEN = "[hidden]"
_KEYS = frozenset(
    (
        "arguments",
        "environment",
        "environment_variables",
        "raw",
        "string_arg",
        "bytes_arg",
        "truncated_bytes_arg",
    )
)
"""Members of records that hold what people or programs wrote (docs/architecture.md, docs/events/)."""


def without_arguments(timeline: Timeline) -> Timeline:
    """The same timeline with every argument, text and buffer replaced."""
    tree = timeline.tree
    copies = {process.exec_id: _bare(process) for _, process, _ in tree.walk()}
    for _, process, _ in tree.walk():
        copies[process.exec_id].children = [copies[child.exec_id] for child in process.children]
    ancestors = [_bare(process) for process in tree.ancestors]
    hidden = Tree(copies[tree.root.exec_id], ancestors, tree.completeness, tree.truncated)
    return Timeline(hidden, [_plain(one) for one in timeline.happenings], timeline.truncated)


def _bare(process: Process) -> Process:
    arguments = HIDDEN if process.arguments else ""
    return dataclasses.replace(process, arguments=arguments, children=[])


def _plain(one: Happening) -> Happening:
    return dataclasses.replace(one, summary=_summary(one), record=_strip(one.record))


def _summary(one: Happening) -> str:
    """The summary in words that name no argument."""
    if one.type == "process_exec":
        process = content_of(one).get("process") or {}
        return f"exec {process.get('binary', '')}".strip()
    if one.type == "detection":
        content = content_of(one)
        return str(content.get("title") or content.get("rule") or "detection")
    if one.type.startswith("process_") and one.type != "process_exit":
        return " ".join(part for part in (one.function or one.type, one.path, one.address) if part)
    return one.summary


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: HIDDEN if key in _KEYS and part else _strip(part) for key, part in value.items()}
    return [_strip(part) for part in value] if isinstance(value, list) else value
