# SPDX-License-Identifier: Apache-2.0
"""A process with its ancestors and descendants, put together from records of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.cli.lineage import pid_of

Record = Mapping[str, Any]
MOST = 100_000
"""Descendants kept; a tree larger than this helps nobody."""


@dataclass(slots=True)
class Image:
    """One program in one process: an exec_id. A process that execs again goes on as another image."""

    exec_id: str
    pid: int
    """On the host; 0 when the exec_id does not tell."""
    parent_id: str = ""
    """exec_id of the parent, or of the image that this one replaced."""
    binary: str = ""
    """Empty when the log does not tell."""
    arguments: Sequence[str] | str = ()
    """The vector with `argv[0]`, or the joined text where only that is known."""
    uid: int | None = None
    user: str = ""
    container: str = ""
    start: str = ""
    """When the exec happened, a time of the log."""
    end: str = ""
    """When the process exited; empty when that was not seen."""
    status: int = 0
    signal: str = ""
    recorded: bool = False
    """Whether its own exec or fork stands in the log; else it is known from others' records."""
    replaces: bool = False
    """Whether it is a new image of its parent's process (exec without fork)."""
    replaced_at: str = ""
    """When the next image of the process took over."""
    children: list[Image] = field(default_factory=list)

    @property
    def state(self) -> str:
        """`exited`, `replaced` (by a later image) or `running` as far as the log tells."""
        return "exited" if self.end else "replaced" if self.replaced_at else "running"


def image_of(process: Record, own: Record | None = None, parent: Record | None = None) -> Image:
    """An image from a `process` object; `own` when the event is its exec."""
    parent_id = process.get("parent_exec_id", "")
    same = parent is not None and parent.get("pid") == process["pid"] and parent.get("exec_id") == parent_id
    return Image(
        exec_id=process["exec_id"],
        pid=process["pid"],
        parent_id=parent_id,
        binary=process.get("binary", ""),
        arguments=(own or {}).get("arguments") or process.get("arguments", ""),
        uid=process.get("uid", 0),
        user=(own or {}).get("user", ""),
        container=process.get("docker", ""),
        start=process.get("start_time", ""),
        recorded=own is not None,
        replaces=same,
    )


def ancestry_of(own: Record) -> list[str]:
    """exec_ids from the parent up. An empty one, which stands for those left out of a long chain, is none."""
    return [exec_id for exec_id in own.get("ancestry", ()) if exec_id]


class Family:
    """Grows with each record that has to do with one process."""

    def __init__(self, root: Image) -> None:
        self.root = root
        self.images: dict[str, Image] = {root.exec_id: root}
        """Root and descendants."""
        self.needles = [root.exec_id.encode()]
        """Texts of the lines that matter: exec_ids of the images of the root's process (all descendants have
        them in their ancestry), and what the finder of ancestors adds."""
        self.above: list[str] = []
        """exec_ids of the ancestors, nearest first."""
        self.ancestors: dict[str, Image] = {}
        self.full = False
        """Whether descendants were left out because there are too many."""

    def add(self, record: Record) -> None:
        """Take in an exec, exit or fork record; others, and those of strangers, change nothing."""
        own = record.get("tracehound") or {}
        if "process_exec" in record:
            self._began(record["process_exec"], own)
        elif "process_exit" in record:
            self._ended(record["process_exit"], record["time"])
        elif "fork" in own:
            self._began(own["fork"], own)

    def _began(self, event: Record, own: Record) -> None:
        parent = event.get("parent")
        image = image_of(event["process"], own, parent)
        if image.exec_id in self.above:
            self.ancestors[image.exec_id] = image
        elif self._is_below(image, own):
            self._put_below(image, parent, ancestry_of(own))
        if parent is not None:
            self._hear_of(parent)

    def _is_below(self, image: Image, own: Record) -> bool:
        return image.parent_id in self.images or not self.images.keys().isdisjoint(ancestry_of(own))

    def _put_below(self, image: Image, parent: Record | None, ancestry: Sequence[str]) -> None:
        known = self.images.get(image.exec_id)
        if known is not None:  # a stand-in, made when a child came first
            for name in ("arguments", "user", "recorded"):
                setattr(known, name, getattr(image, name))
            return
        if len(self.images) >= MOST:
            self.full = True
            return
        if image.parent_id not in self.images:
            self._stand_in(image.parent_id, parent, ancestry)
        above = self.images[image.parent_id]
        if image.replaces:
            above.replaced_at = image.start
        above.children.append(image)
        self.images[image.exec_id] = image
        if image.replaces and image.parent_id.encode() in self.needles:
            self.needles.append(image.exec_id.encode())

    def _stand_in(self, missing: str, parent: Record | None, ancestry: Sequence[str]) -> None:
        """Fill the gap between an image and its nearest ancestor in the tree with what is known."""
        gap = []
        for exec_id in ancestry:
            if exec_id in self.images:
                break
            gap.append(exec_id)
        gap = gap or [missing]
        above = self.images.get(ancestry[len(gap)]) if len(gap) < len(ancestry) else None
        above = above or self.root
        for exec_id in reversed(gap):
            if parent is not None and parent.get("exec_id") == exec_id:
                image = image_of(parent)
            else:
                image = Image(exec_id, pid_of(exec_id) or 0)
            image.parent_id = above.exec_id
            above.children.append(image)
            self.images[exec_id] = above = image

    def _ended(self, event: Record, time: str) -> None:
        process = event["process"]
        image = self.images.get(process["exec_id"]) or self.ancestors.get(process["exec_id"])
        if image is None and process["exec_id"] in self.above:
            image = self.ancestors[process["exec_id"]] = image_of(process)
        if image is not None:
            image.end, image.status, image.signal = time, event.get("status", 0), event.get("signal", "")
        if "parent" in event:
            self._hear_of(event["parent"])

    def _hear_of(self, process: Record) -> None:
        """Ancestors whose own exec is not in the log are known from the records of their children."""
        exec_id = process.get("exec_id", "")
        if exec_id == self.root.parent_id and not self.above:
            self.above = [exec_id]
        if exec_id in self.above and exec_id not in self.ancestors:
            self.ancestors[exec_id] = image_of(process)

    def line_of_ancestors(self) -> list[Image]:
        """The ancestors, farthest first; of some only the exec_id may be known."""
        line = [
            self.ancestors.get(exec_id) or Image(exec_id, pid_of(exec_id) or 0)
            for exec_id in reversed(self.above)
        ]
        for above, image in zip(line, [*line[1:], self.root], strict=False):
            if above.pid == image.pid and image.start:
                image.replaces, above.replaced_at = True, image.start
        return line

    def walk(self) -> Iterator[tuple[int, Image, bool]]:
        """Root and descendants in the order of a tree: depth, image, whether it is its parent's last."""
        stack = [(0, self.root, True)]
        while stack:
            depth, image, last = stack.pop()
            yield depth, image, last
            below = sorted(image.children, key=lambda child: child.start)
            stack += [(depth + 1, child, child is below[-1]) for child in reversed(below)]
