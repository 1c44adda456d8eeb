# SPDX-License-Identifier: Apache-2.0
"""A timeline with fewer processes, where there are more than a page can show. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.store.answers import Process, Timeline, Tree


def fewer(told: Timeline, most: int) -> Timeline:
    """About `most` descendants: those of which the timeline tells something come first, then the youngest,
    and with each whoever leads to it. How many were left out stands in the tree. The given one is changed."""
    above = {child.exec_id: parent for _, parent, _ in told.tree.walk() for child in parent.children}
    if len(above) <= most:
        return told
    kept = {told.tree.root.exec_id}
    for process in _by_weight(told, (process for _, process, _ in told.tree.walk())):
        if len(kept) > most:
            break
        _keep(process, above, kept)
    for _, process, _ in list(told.tree.walk()):
        process.children = [child for child in process.children if child.exec_id in kept]
    tree = told.tree
    left_out = len(above) + 1 - len(kept)
    return Timeline(
        Tree(tree.root, tree.ancestors, tree.completeness, tree.truncated + left_out),
        told.happenings,
        told.truncated,
    )


def _by_weight(told: Timeline, processes: Iterable[Process]) -> list[Process]:
    acting = {one.exec_id for one in told.happenings}
    return sorted(processes, key=lambda one: (one.exec_id in acting, one.start_ns), reverse=True)


def _keep(process: Process, above: Mapping[str, Process], kept: set[str]) -> None:
    """With all between it and the root."""
    exec_id = process.exec_id
    while exec_id not in kept:
        kept.add(exec_id)
        parent = above.get(exec_id)
        exec_id = parent.exec_id if parent is not None else exec_id
