# SPDX-License-Identifier: Apache-2.0
"""Where programs of the base sensor and of the classifier stand when they are to outlive the agent: behind
dispatchers, as hooks do, so that the next agent's program takes a place over at one instant and in the same
order. Every event is handled by exactly one of both.

Pinned below DIR/base/v<layout of the process map>: NAME/{link,programs,dispatcher} for each post, and the
maps KEPT: by their numbers they could be had with CAP_SYS_ADMIN only. An agent whose layout is another one
makes its own beside them.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AlreadyRunning, KernelRefused, PermissionMissing
from agent.kernel import dispatch, hookpins
from agent.kernel.attaching import Attachment, attach
from agent.kernel.btf import Btf
from agent.kernel.libbpf import check, libbpf
from agent.kernel.links import fd_facts, program_id, program_info, program_on
from agent.kernel.mapfill import ARRAY, PROGRAM_ARRAY, make_map
from agent.kernel.objects import BpfMap
from agent.kernel.pins import LAYOUT_VERSION, require_bpffs
from agent.kernel.template import MapForm
from agent.kernel.tiny import load

FOLDER = "base"
KEPT = ("container_cgroups", "counters", "events", "told", "classes")
"""Maps that are pinned beside the posts: what the next agent goes on with, and reads the gap from."""
TOLD_BYTES = 8 * 32
"""Of `told`: losses that stand in the log, in the order of struct counters (kprobes/include/wire.h)."""
CLASSES_BYTES = 16 * (256 + 128)
"""Of `classes`: what the numbers of classes and followed conditions mean (agent/policy/numbering.py)."""
_MADE_HERE = {"told": TOLD_BYTES, "classes": CLASSES_BYTES}
CAN_STAND = ("tp_btf", "raw_tp")
"""Kinds of programs that can be jumped to (Choice.kind)."""
TRACEPOINTS = {
    "cgroup_made": "cgroup_mkdir",
    "cgroup_removed": "cgroup_rmdir",
    "fork": "sched_process_fork",
    "exit": "sched_process_exit",
    "exec": "sched_process_exec",
    "classify_exec": "sched_process_exec",
    "classify_fork": "sched_process_fork",
    "classify_free": "sched_process_free",
}
"""By name of the post; one that stands in for it is called NAME_again."""
CLASSIFIER = "classify_"
"""Posts of the classifier begin so."""


def folder_of(directory: Path) -> Path:
    """Where this version's posts are pinned."""
    return directory / FOLDER / f"v{LAYOUT_VERSION}"


def places(directory: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of every pinned post of any version."""
    for link in sorted(directory.glob(f"{FOLDER}/*/*/link")):
        yield link.parent.name, link.parent


@dataclass(slots=True)
class _Post:
    """A dispatcher with its array of one slot."""

    array: int
    dispatcher: int = -1
    """Descriptor of its program."""
    attachment: Attachment | None = None
    pinned: Path | None = None
    missed_before: int = 0
    """Runs that were skipped before this agent took it over."""

    @property
    def number(self) -> int:
        """The kernel's, of the dispatcher."""
        return program_id(self.dispatcher)

    def missed(self) -> int:
        """Runs that the kernel skipped, since it is there."""
        return program_info(self.dispatcher).recursion_misses

    def put(self, program: int) -> None:
        """The moment of a change. Raises KernelRefused."""
        if libbpf().bpf_map_update_elem(self.array, bytes(4), struct.pack("=I", program), 0):
            raise libbpf().refused("the post cannot jump to the program", ctypes.get_errno(), log=" ")

    def close(self) -> None:
        """Detaches, unless it is pinned."""
        if self.attachment:
            self.attachment.close()
        for fd in (self.dispatcher, self.array):
            if fd >= 0:
                os.close(fd)


class Posts:
    """The posts of one agent. Nothing is pinned before `keep`."""

    def __init__(self, directory: Path) -> None:
        """`directory`: on a bpffs."""
        self.directory = directory
        self._folder = folder_of(directory)
        self._posts: dict[str, _Post] = {}
        self._kernel: Btf | None = None
        self._lock = -1
        self.is_kept = False
        self._is_claimed = False
        """Whether this agent asked to keep them."""
        self._maps: Mapping[str, int] = {}
        """Descriptors of KEPT."""
        self._made_here: dict[str, BpfMap] = {}
        self.classes_before = b""
        """Content of `classes` as the agent left it whose classifier runs on; empty where there is none."""

    def adopt(self, wanted: set[str]) -> bool:
        """Takes over what an agent before has pinned: all of `wanted` and what else stands there, or nothing.
        Programs go on until others are put in their place. Raises AlreadyRunning, KernelUnsupported."""
        self.close()
        self._claim()
        there = {place.name: place for place in self._folder.glob("*/") if (place / "link").exists()}
        for name, path in sorted(there.items()):
            if found := hookpins.find(path, 1):
                self._take_over(name, path, found)
        self.is_kept = bool(there)
        if wanted - self._posts.keys() or not (self._folder / "container_cgroups").exists():
            self.drop()
            return False
        if f"{CLASSIFIER}exec" in self._posts:
            self.classes_before = _content(self.directory, "classes", CLASSES_BYTES)
        return True

    def put(self, name: str, kind: str, program: int) -> None:
        """From now on this program is what stands there; a new post comes behind those that its tracepoint
        has already. Raises KernelRefused."""
        post = self._posts.get(name)
        if post and _takes(post, program):
            return
        if post:
            self.leave(name)  # its dispatcher is of another type
        target = TRACEPOINTS[name.removesuffix("_again")]
        self._posts[name] = made = self._made(kind, target)
        try:
            made.put(program)
            made.attachment = attach(kind, target, made.dispatcher)
            if self.is_kept:
                self._pin(name, made)
        except KernelRefused:
            self.leave(name)
            raise

    def leave(self, name: str) -> None:
        """Nothing stands there any more; nothing to do for a post that is not there."""
        post = self._posts.pop(name, None)
        if post:
            if post.pinned:
                _unpin_post(post.pinned)
            libbpf().bpf_map_delete_elem(post.array, bytes(4))
            post.close()

    def lay_out(self, maps: Mapping[str, int]) -> None:
        """After the first posts were made: descriptors of those of KEPT that are not made here. Raises
        KernelRefused."""
        self.rest()
        for name, size in _MADE_HERE.items():
            self._made_here[name] = make_map(f"th_{name}", MapForm(ARRAY, 4, size, 1, 0))
        self._maps = {**maps, **{name: made.fd for name, made in self._made_here.items()}}

    def tell(self, losses: bytes) -> None:
        """Losses that stand in the log: the next agent counts on from there."""
        if "told" in self._made_here:
            self._made_here["told"].update(bytes(4), losses)

    def note_classes(self, content: bytes) -> None:
        """What the numbers of classes mean, for the next agent."""
        if "classes" in self._made_here:
            self._made_here["classes"].update(bytes(4), content)

    def names(self) -> list[str]:
        """Of all posts, in the order in which they were made."""
        return list(self._posts)

    def is_attached(self, name: str) -> bool:
        """Asked of the kernel."""
        post = self._posts.get(name)
        return bool(post and post.attachment and program_on(post.attachment.link) == post.number)

    def missed(self, name: str) -> int:
        """Runs that the kernel skipped since this agent stands there."""
        post = self._posts.get(name)
        return post.missed() - post.missed_before if post else 0

    def keep(self) -> None:
        """From now on the posts outlive this process. Raises KernelRefused, KernelUnsupported."""
        require_bpffs(self._folder)
        for name in KEPT:
            _pin(self._folder / name, self._maps[name])
        for name, post in self._posts.items():
            if not post.pinned:
                self._pin(name, post)
        self.is_kept = self._is_claimed = True

    def drop_unclaimed(self) -> None:
        """After the start: what an agent before has pinned and nobody asks for now ends with this process,
        its classifier at once. So do posts of agents with another layout of the process map."""
        if self.is_kept and not self._is_claimed:
            for name in [name for name in self._posts if name.startswith(CLASSIFIER)]:
                self.leave(name)
            self.let_go()
        unpin_others(self.directory)

    def let_go(self) -> None:
        """From now on they end with this process."""
        for post in self._posts.values():
            if post.pinned:
                _unpin_post(post.pinned)
                post.pinned = None
        _remove(self._folder)
        self.is_kept = False

    def drop(self) -> None:
        """Detaches all, pinned or not."""
        self.classes_before = b""
        for name in list(self._posts):
            self.leave(name)
        self.let_go()

    def rest(self) -> None:
        """Gives back what only `put` needs."""
        if self._kernel:
            self._kernel.close()
            self._kernel = None

    def close(self) -> None:
        """Detaches what is not pinned."""
        self.rest()
        for post in self._posts.values():
            post.close()
        self._posts.clear()
        for made in self._made_here.values():
            os.close(made.fd)
        self._made_here.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _claim(self) -> None:
        """A second agent would take its posts away from one that runs. Held as long as this is open."""
        require_bpffs(self.directory)
        self._lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"another agent has its programs pinned in {self.directory}",
                "stop that agent first, or set kernel.pin_dir to another directory",
            ) from None

    def _take_over(self, name: str, path: Path, found: hookpins.Pinned) -> None:
        dispatcher = libbpf().bpf_obj_get(str(path / "dispatcher").encode())
        if dispatcher < 0:
            for fd in (found.link, found.programs):
                os.close(fd)
            return
        post = _Post(found.programs, dispatcher, Attachment(found.link), path)
        post.missed_before = post.missed()
        self._posts[name] = post

    def _made(self, kind: str, target: str) -> _Post:
        self._kernel = self._kernel or Btf.of_kernel()
        post = _Post(make_map("th_post", MapForm(PROGRAM_ARRAY, 4, 4, 1, 0)).fd)
        try:
            post.dispatcher = load(kind, target, self._kernel, dispatch.jump_to_slot_0(post.array), "th_post")
        except KernelRefused:
            post.close()
            raise
        return post

    def _pin(self, name: str, post: _Post) -> None:
        if post.attachment:
            path = self._folder / name
            hookpins.pin(path, link=post.attachment.link, programs=post.array, dispatcher=post.dispatcher)
            post.pinned = path


def _takes(post: _Post, program: int) -> bool:
    try:
        post.put(program)
    except KernelRefused:
        return False
    return True


def open_map(directory: Path, name: str, shape: Mapping[str, int]) -> int:
    """Descriptor of one of KEPT as an agent of this version left it; -1 where there is none of this shape
    (BpfObject.map_shape)."""
    fd = libbpf().bpf_obj_get(str(folder_of(directory) / name).encode())
    if fd < 0:
        return -1
    facts = fd_facts(fd)
    if all(int(facts.get(key, "-1"), 0) == wanted for key, wanted in shape.items()):
        return int(fd)
    os.close(fd)
    return -1


def _content(directory: Path, name: str, size: int) -> bytes:
    fd = open_map(directory, name, {"value_size": size})
    if fd < 0:
        return b""
    content = BpfMap(fd, size).lookup(bytes(4)) or b""
    os.close(fd)
    return content


def unpin_others(directory: Path) -> None:
    """Detaches what agents with another layout of the process map have left."""
    for folder in directory.glob(f"{FOLDER}/*"):
        if folder != folder_of(directory):
            _unpin(folder)


def unpin_all(directory: Path) -> list[str]:
    """Detaches every pinned post; needs no agent. Returns the names. Raises PermissionMissing where posts may
    be left."""
    found = [name for name, _ in places(directory)]
    for folder in directory.glob(f"{FOLDER}/*"):
        _unpin(folder)
    if left := [name for name, _ in places(directory)]:
        raise PermissionMissing(f"still attached: {', '.join(left)}", "run as root")
    return found


def _unpin(folder: Path) -> None:
    for place in folder.glob("*/"):
        _unpin_post(place)
    _remove(folder)


def _unpin_post(place: Path) -> None:
    with contextlib.suppress(OSError):
        (place / "dispatcher").unlink()
    hookpins.unpin(place)


def _remove(folder: Path) -> None:
    """The maps' names, and folders that are empty then."""
    with contextlib.suppress(OSError):
        for path in [path for path in folder.iterdir() if not path.is_dir()]:
            path.unlink()
        folder.rmdir()
        folder.parent.rmdir()


def _pin(path: Path, fd: int) -> None:
    """In place of what has this name; nothing to do where it is the same map."""
    before = libbpf().bpf_obj_get(str(path).encode())
    if before >= 0:
        same = fd_facts(before).get("map_id") == fd_facts(fd).get("map_id")
        os.close(before)
        if same:
            return
    path.unlink(missing_ok=True)
    check(libbpf().bpf_obj_pin(fd, str(path).encode()), f"pin {path}")
