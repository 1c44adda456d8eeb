# SPDX-License-Identifier: Apache-2.0
"""Process classes in the kernel: loads and attaches classify.bpf.c, keeps its maps, and has all processes
classified anew when the classes change. Nothing is loaded before a policy asks for a class."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Protocol

from agent.errors import KernelRefused
from agent.kernel.choices import Facts
from agent.kernel.objects import BpfObject
from agent.kernel.posts import CLASSIFIER, Posts
from agent.kernel.sharedmaps import SharedMaps

SHAPE_HAS_CAST = 32
"""Offset of has_cast in struct shape of kprobes/include/policy.h."""
STATES = 32768
"""Entries of class_states and exec_states; processes beyond are classified as nobody that a policy names, and
counted."""
_PASSES = 3
"""Of classify_tasks: a line of descent in which pids were given again twice is still right."""
_PASS = struct.Struct("=II16sQ")
"""struct class_pass of kprobes/include/classes.h."""
ANY_CONTAINER = (1 << 64) - 1
"""Key of class_cgroups for containers of which nothing is known."""
CGROUPS = 16384
"""Entries of class_cgroups: containers that policies can tell apart."""
_ZERO = struct.pack("=I", 0)
_OWN = ("class_states", "class_scratch", "class_pass", "class_cgroups")
"""Maps whose content is not the policies'."""


class Contents(Protocol):
    """agent.policy.classes.ClassContents."""

    @property
    def maps(self) -> Mapping[str, Mapping[bytes, bytes]]:
        """Content of the class maps."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Entries that they need."""

    @property
    def fresh(self) -> int:
        """Bits of followed conditions that processes may carry from before."""

    @property
    def is_asked(self) -> bool:
        """Whether any policy asks."""

    @property
    def keeps_exec_state(self) -> bool:
        """Whether some policy compares with what was at exec."""


class Classifier:
    """The loaded programs, their maps, and what they were last told."""

    def __init__(
        self, shared: SharedMaps, *, has_atomics: bool, has_cast: bool, posts: Posts | None = None
    ) -> None:
        """`posts`: where the programs stand when they are to outlive the agent."""
        self._shared = shared
        self._posts = posts
        self._file = "classify.bpf.o" if has_atomics else "classify_plain.bpf.o"
        self._has_cast = has_cast
        self._facts: Facts | None = None
        self._object: BpfObject | None = None
        self._room: Mapping[str, int] = {}
        self._told: dict[str, dict[bytes, bytes]] = {}
        self._cgroups: dict[bytes, bytes] = {}
        self._told_cgroups: dict[bytes, bytes] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether any policy ever asked for a class."""
        return self._object is not None

    def publish(self, contents: Contents, cgroups: Mapping[int, bytes] | None = None) -> None:
        """Makes the classes known: when it returns, every process carries those that it has. `cgroups`: which
        classes each container's cgroup allows now (struct set by its id), all of them. Raises KernelRefused;
        then what was told before still stands."""
        if cgroups is not None:
            self._cgroups = {struct.pack("=Q", number): allowed for number, allowed in cgroups.items()}
        if not contents.is_asked and self._object is None:
            return
        grown = self._shared.grow(0, {"exec_states": STATES}) if contents.keeps_exec_state else set()
        if self._object is None or grown or not self._fits(contents):
            self._replace(contents)
        elif self._told == contents.maps and self._told_cgroups == self._cgroups:
            return
        self._tell(contents)
        self._classify_all(contents.fresh)
        if self._posts:
            self._keep(self._posts, is_asked=contents.is_asked)

    def set_cgroups(self, members: Mapping[int, bytes | None]) -> None:
        """What has changed of some containers: the classes that each one's cgroup allows, None for one that
        is gone. When it returns their processes carry them. Raises KernelRefused where there is no room."""
        changed = {}
        for number, allowed in members.items():
            key = struct.pack("=Q", number)
            if allowed is None:
                self._cgroups.pop(key, None)
            elif self._cgroups.get(key) != allowed:
                self._cgroups[key] = allowed
                changed[number] = allowed
        if self._object is None:
            return
        self._tell_cgroups()
        if changed:
            one = next(iter(changed)) if len(changed) == 1 else ANY_CONTAINER
            self._object.map("class_pass").update(_ZERO, _PASS.pack(0, 0, bytes(16), one))
            self._object.run_iterator("classify_container")

    def _tell_cgroups(self) -> None:
        if self._object is None:
            return
        table = self._object.map("class_cgroups")
        for key in self._told_cgroups.keys() - self._cgroups.keys():
            table.delete(key)
            del self._told_cgroups[key]
        for key, value in self._cgroups.items():
            if self._told_cgroups.get(key) != value:
                table.update(key, value)
                self._told_cgroups[key] = value

    def programs(self) -> list[str]:
        """Names of the programs that are attached."""
        return list(self._attached) if self._object else []

    def close(self) -> None:
        """Detaches and frees everything but what outlives the agent."""
        if self._posts and not self._posts.is_kept:
            self._leave(self._posts, ())
        if self._object:
            self._object.close()
            self._object = None

    _attached: tuple[str, ...] = ()

    def _fits(self, contents: Contents) -> bool:
        """With what was told before, which goes when the new stands."""
        for name, entries in contents.sizes.items():
            both = self._told.get(name, {}).keys() | contents.maps.get(name, {}).keys()
            if max(entries, len(both)) > self._room.get(name, len(both) + entries):
                return False
        return True

    def _replace(self, contents: Contents) -> None:
        """Loads programs with maps that are large enough; those before go when the new ones are attached.
        Both may classify the same exec: the newer comes last."""
        loaded, programs = self._load(contents)
        try:
            before, self._object = self._object, loaded
            told, self._told = self._told, {}
            told_cgroups, self._told_cgroups = self._told_cgroups, {}
            self._tell(contents)
            self._attach(loaded, programs, before)
        except KernelRefused:
            self._object, self._told, self._told_cgroups = before, told, told_cgroups
            loaded.close()
            raise
        self._attached = programs
        self._room = {name: loaded.map_shape(name)["max_entries"] for name in contents.sizes}
        if before:
            before.close()

    def _attach(self, loaded: BpfObject, programs: tuple[str, ...], before: BpfObject | None = None) -> None:
        """What was put at a post goes on there: when one is refused, those `before` are put back."""
        if not self._posts:
            for program in programs:
                loaded.attach(program)
            return
        try:
            for program in programs:
                self._posts.put(*_post_of(program), loaded.program_fd(program))
        except KernelRefused:
            if before:
                self._attach(before, self._attached)
            else:
                self._leave(self._posts, ())
            raise
        self._leave(self._posts, programs)
        self._posts.rest()

    def _leave(self, posts: Posts, programs: tuple[str, ...]) -> None:
        """Posts of the classifier that none of these programs stands at."""
        used = {_post_of(program)[0] for program in programs}
        for name in posts.names():
            if name.startswith(CLASSIFIER) and name not in used:
                posts.leave(name)

    def _keep(self, posts: Posts, *, is_asked: bool) -> None:
        """Processes are followed without an agent as long as a policy asks who they are."""
        if is_asked:
            posts.keep()
        elif posts.is_kept:
            posts.let_go()

    def _load(self, contents: Contents) -> tuple[BpfObject, tuple[str, ...]]:
        refusal: KernelRefused | None = None
        for form in ("btf", "raw"):
            try:
                return self._load_with(form, contents)
            except KernelRefused as error:
                refusal = error
        raise refusal or AssertionError("nothing was tried")

    def _load_with(self, form: str, contents: Contents) -> tuple[BpfObject, tuple[str, ...]]:
        facts = self._kernel()
        programs = [f"classify_{question}_{form}" for question in ("exec", "fork", "free")]
        if facts.preempts_tracepoints and form == "btf":
            programs.append("classify_exec_again")
        loading = BpfObject(self._file)
        try:
            loading.select({*programs, "classify_tasks", "classify_container"})
            loading.set_constants(".rodata.shape", self._shape(loading))
            self._size(loading, contents, preallocate=not facts.safe_without_prealloc)
            loading.load()
        except KernelRefused:
            loading.close()
            raise
        return loading, tuple(programs)

    def _size(self, loading: BpfObject, contents: Contents, *, preallocate: bool) -> None:
        shared = self._shared.descriptors()
        for name in loading.maps():
            if name in shared:
                loading.reuse(name, shared[name])
            elif name in ("class_states", "class_cgroups"):
                loading.set_entries(name, STATES if name == "class_states" else CGROUPS)
            elif name in contents.sizes and name != "class_rules":
                loading.set_entries(name, max(16, 2 * contents.sizes[name]))
            if preallocate and name not in shared and loading.map_shape(name)["map_type"] == 1:
                loading.set_map_flags(name, 0)

    def _shape(self, loading: BpfObject) -> bytes:
        value = bytearray(loading.map_shape(".rodata.shape")["value_size"])
        struct.pack_into("=I", value, SHAPE_HAS_CAST, self._has_cast)
        return bytes(value)

    def _tell(self, contents: Contents) -> None:
        """New values first, then the rules, then what is gone."""
        if self._object is None:
            raise AssertionError("not loaded")
        self._tell_cgroups()
        for name in sorted(contents.maps, key=lambda name: (name == "class_rules", name)):
            table = self._object.map(name)
            for key, value in contents.maps[name].items():
                if self._told.get(name, {}).get(key) != value:
                    table.update(key, value)
        for name, before in self._told.items():
            for key in before.keys() - contents.maps.get(name, {}).keys():
                self._object.map(name).delete(key)
        self._told = {name: dict(content) for name, content in contents.maps.items()}

    def _classify_all(self, fresh: int) -> None:
        if self._object is None:
            return
        now = self._object.map("class_pass")
        for number in range(_PASSES):
            now.update(_ZERO, _PASS.pack(number, 0, fresh.to_bytes(16, "little"), 0))
            self._object.run_iterator("classify_tasks")

    def _kernel(self) -> Facts:
        if self._facts is None:
            self._facts = Facts.of_this_kernel()
        return self._facts


def _post_of(program: str) -> tuple[str, str]:
    """Its post and kind, by the program's name: classify_exec_raw, classify_exec_again."""
    name, _, form = program.rpartition("_")
    return (program, "tp_btf") if form == "again" else (name, {"btf": "tp_btf", "raw": "raw_tp"}[form])
