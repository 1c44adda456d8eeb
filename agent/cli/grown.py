# SPDX-License-Identifier: Apache-2.0
"""Trees of the store in the form that `tracehound tree` shows."""

from __future__ import annotations

from pathlib import Path

from agent.cli.asking import when
from agent.cli.family import Family, Image
from agent.cli.period import Period
from agent.store.answers import Process, Tree
from agent.store.layout import compacted_segments


def has_store(log_dir: Path) -> bool:
    """Whether anything was compacted; a directory that cannot be read has nothing."""
    try:
        return bool(compacted_segments(log_dir))
    except OSError:
        return False


def family_of(tree: Tree) -> tuple[Family, Period]:
    """The same processes as images, with the period that the answer covers."""
    family = Family(image_of(tree.root))
    for _, process, _ in tree.walk():
        image = family.images.get(process.exec_id) or image_of(process)
        family.images[process.exec_id] = image
        for child in process.children:
            below = family.images.setdefault(child.exec_id, image_of(child))
            image.children.append(below)
    family.above = [process.exec_id for process in reversed(tree.ancestors)]
    family.ancestors = {process.exec_id: image_of(process) for process in tree.ancestors}
    family.full = tree.truncated > 0
    sure = tree.completeness
    losses = [*map(dict, sure.losses)]
    period = Period(when(sure.to_ns), when(sure.from_ns), losses, [when(at) for at in sure.reboots])
    period.notes = [*sure.notes, *(gap_text(first, last) for first, last in sure.gaps)]
    return family, period


def gap_text(first: int, last: int) -> str:
    """A sentence about numbers that are missing."""
    return f"{last - first + 1:,} records ({first} to {last}) are gone from the log, and nothing says why"


def image_of(process: Process) -> Image:
    """One process."""
    return Image(
        exec_id=process.exec_id,
        pid=process.pid,
        parent_id=process.parent_exec_id,
        binary=process.binary,
        arguments=process.arguments,
        uid=process.uid,
        user=process.user,
        container=process.container,
        start=when(process.start_ns),
        end=when(process.end_ns),
        status=process.status,
        signal=process.signal,
        recorded=process.recorded,
        replaces=process.replaces,
        replaced_at=when(process.replaced_ns),
    )
