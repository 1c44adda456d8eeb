# SPDX-License-Identifier: Apache-2.0
"""One image: one program in one process, from one exec (or fork) to the next."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING

from agent.events import EXECED

if TYPE_CHECKING:
    from agent.enrich.home import Place

PID_BITS = 22
"""PID_MAX_LIMIT is 2**22 (include/linux/threads.h)."""


def image_key(tgid: int, image_ktime: int) -> int:
    """Key of an image in dictionaries: one int hashes faster than a pair."""
    return image_ktime << PID_BITS | tgid


def make_exec_id(node_name: bytes, tgid: int, image_ktime: int) -> str:
    """Tetragon's exec_id: base64 of `node:ktime:pid`. The kernel's pid 0 has ktime 1, as there."""
    return exec_id_of(node_name + b":", tgid, image_ktime if tgid else 1)


def exec_id_of(prefix: bytes, tgid: int, image_ktime: int) -> str:
    """The same of any process but the kernel; `prefix` ends with the colon behind the node's name."""
    # two formatted numbers and a newline cut off: each a third of what `%d` and the keyword would take
    return b2a_base64(prefix + f"{image_ktime}:{tgid}".encode())[:-1].decode()


def is_same(image_ktime: int, earlier_ktime: int) -> bool:
    """Whether two images of one pid belong to one process: each exec adds 1 to the stamp, and no pid is given
    out again within the time that this leaves."""
    return 0 <= image_ktime - earlier_ktime < 100_000


class Process:
    """What is kept of an image while it, or a living descendant, needs it. Parents are held by reference: an
    exited process goes when its last living descendant does."""

    __slots__ = (
        "announced",
        "arguments",
        "auid",
        "binary",
        "container",
        "creator",
        "cwd",
        "depth",
        "exec_id",
        "flags",
        "fragment",
        "image_ktime",
        "lineage",
        "parent",
        "parent_exec_id",
        "place",
        "start_time",
        "tgid",
        "uid",
        "words",
    )

    def __init__(self, tgid: int, image_ktime: int, exec_id: str, parent: Process | None) -> None:
        self.tgid = tgid
        self.image_ktime = image_ktime
        self.exec_id = exec_id
        self.parent = parent
        """None: not known, or the kernel itself."""
        self.parent_exec_id = parent.exec_id if parent else ""
        """Stays when a long chain of ancestors is cut, and `parent` leads past the cut."""
        self.depth: int = parent.depth + 1 if parent else 0
        self.flags = 0
        """Flags of events.py at the time of the image's first record."""
        self.words = ""
        """Tetragon's flag words (`execve clone`)."""
        self.uid = 0
        self.auid = 0xFFFFFFFF
        self.binary = ""
        self.arguments = ""
        """Joined as in Tetragon's events, redacted."""
        self.cwd = ""
        self.start_time = ""
        """RFC 3339, UTC: when the image began (procFS: when the process was created)."""
        self.container = ""
        """Container id, empty on the host or when not known."""
        self.place: Place | None = None
        """Its place in a container that is followed (agent.enrich.home); None on the host."""
        self.creator: str | None = None
        """exec_id of the process that called clone, where it is not the parent."""
        self.lineage: str | None = None
        """JSON strings of its own and its ancestors' exec_ids, nearest first, joined by commas: the ancestry
        of its children, made when the first of them needs it."""
        self.fragment: str | None = None
        """JSON of the default process fields; made when first needed."""
        self.announced = False
        """Whether the log has a record that describes this image in full."""

    def born_of(self, parent: Process) -> None:
        """Sets a parent that was not known when the image was met first. One that descends from this image is
        none: records can contradict each other after losses."""
        if parent is self or self in parent.ancestors():
            return
        self.parent, self.parent_exec_id, self.depth = parent, parent.exec_id, parent.depth + 1
        self.fragment = self.lineage = None

    def cut_copy(self, parent: Process) -> Process:
        """This image as the descendants behind a cut see it; the image itself keeps its parent."""
        copy = Process(self.tgid, self.image_ktime, self.exec_id, parent)
        for field in _DESCRIPTION:
            setattr(copy, field, getattr(self, field))
        return copy

    @property
    def has_execed(self) -> bool:
        """False for a process that was forked and has not called exec."""
        return bool(self.flags & EXECED)

    @property
    def is_cut(self) -> bool:
        """Whether `parent` is not the parent but a farther ancestor: those between were left out."""
        return self.parent is not None and self.parent_exec_id != self.parent.exec_id

    def ancestors(self) -> list[Process]:
        """Parent first, up to pid 1 or the first of the container; the kernel (pid 0) is left out."""
        found, above = [], self.parent
        while above is not None and above.tgid:
            found.append(above)
            above = above.parent
        return found


_DESCRIPTION = tuple(set(Process.__slots__) - {"lineage", "depth", "parent"})
