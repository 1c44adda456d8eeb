# SPDX-License-Identifier: Apache-2.0
"""The programs on the hooks: each hook has a dispatcher that is attached once, and the current version of
its program in the dispatcher's array. A change is a write to maps, or another version in the slot; either
way a call is judged exactly once, and what fails leaves what ran before."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import KernelRefused, TracehoundError
from agent.kernel import dispatch, hookpins
from agent.kernel.alike import Alike
from agent.kernel.freedsockets import FreedSockets
from agent.kernel.grace import wait_for_programs
from agent.kernel.hookprogram import Compiled, Version, load_version
from agent.kernel.leaving import Leaving
from agent.kernel.links import program_id
from agent.kernel.mapfill import PROGRAM_ARRAY, make_map
from agent.kernel.places import BY_NUMBER, Dispatcher, HookState, Place, place_key, slot_of, target_of
from agent.kernel.preemption import preempts_programs
from agent.kernel.sharedmaps import READ_BY_ALL, SharedMaps
from agent.kernel.standins import StandIns
from agent.kernel.targets import Targets
from agent.kernel.template import MapForm, Template, capture
from agent.kernel.tiny import ProgramType, load_code, takes_fetching_atomics

if TYPE_CHECKING:
    from agent.policy.values import HookKey

__all__ = ["PLAIN", "HookSet", "HookState", "unpin_all"]

unpin_all = hookpins.unpin_all

PLAIN = ("kprobe", "kretprobe", "tracepoint", "raw_tp", *BY_NUMBER)
"""May run where older kernels cannot allocate map entries (agent/kernel/choices.py, needs_preallocation)."""
_TRACKS_SOCKETS = 1 << 12
"""HOOK_TRACKS_SOCKETS of kprobes/include/policy.h."""
_SETTLED_S = 1.0
"""After this time no call runs in a version that was replaced, and its counts are final."""


@dataclass(slots=True)
class _Hook:
    """One hook: its place and what judges there."""

    place: Place
    slot: int
    version: Version
    earlier: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Counts of versions that are gone, by selector."""
    retired: list[tuple[float, Version]] = field(default_factory=list)
    """Replaced versions in which a call may still run, by when they were replaced (CLOCK_MONOTONIC)."""


class HookSet:
    """All hooks of all policies. Keys are HookKey: (attach, target)."""

    def __init__(self, shared: SharedMaps, pin_dir: Path | None = None, file: str = "") -> None:
        """`pin_dir`: on a bpffs; what is pinned there already is taken over, hook by hook, as it is
        installed. `file`: another object with the hook programs, for tests."""
        self._shared = shared
        self._pin_dir = pin_dir
        self._file = file or ("hook.bpf.o" if takes_fetching_atomics() else "hook_plain.bpf.o")
        self._targets = Targets()
        self._templates: dict[str, Template] = {}
        self._alike = Alike()
        self._leaving = Leaving()
        self._places: dict[tuple[str, str], Place] = {}
        self._hooks: dict[HookKey, _Hook] = {}
        self._layout: dispatch.CallLayout | None = None
        self._stand_ins = StandIns()
        self._freed = FreedSockets(lambda: preempts_programs(self._targets.kernel()))
        self._tracking: set[HookKey] = set()
        """Hooks that track sockets."""
        self._flipped = 0.0
        """When the epoch was written last (CLOCK_MONOTONIC)."""

    def install(self, key: HookKey, compiled: Compiled) -> None:
        """Makes `compiled` what judges at the hook. Raises KernelRefused or KernelUnsupported; then what
        ran there before runs on."""
        grown = self._shared.grow(_flags(compiled), compiled.sizes)
        tracks = bool(_flags(compiled) & _TRACKS_SOCKETS)
        if tracks or (self._tracking and "sockets" in grown):
            self._freed.follow(self._shared.map("sockets"))
        hook = self._hooks.get(key)
        if hook and hook.version.takes(compiled) and not grown:
            self._let_calls_end()
            hook.version.become(compiled)
        else:
            self._load(key, compiled)
        if grown.intersection(READ_BY_ALL):
            self._renew_all_but(key)
        (self._tracking.add if tracks else self._tracking.discard)(key)

    def remove(self, key: HookKey) -> None:
        """Detaches; nothing to do for a hook that is not there."""
        hook = self._hooks.pop(key, None)
        self._tracking.discard(key)
        if not hook:
            return
        hook.place.clear(hook.slot)
        for version in (hook.version, *(version for _, version in hook.retired)):
            version.close()
        self._leave(key, self._leaving)

    def flip(self, epoch: int) -> None:
        """Switches to the selectors of this epoch, on all hooks at one instant."""
        self._shared.flip(epoch)
        self._flipped = time.monotonic()

    def counts(self, key: HookKey) -> dict[int, tuple[int, ...]]:
        """struct selector_count by selector, since the hook is there and over all its versions."""
        hook = self._hooks[key]
        self._settle(hook)
        found = dict(hook.earlier)
        for version in (hook.version, *(version for _, version in hook.retired)):
            _add(found, version)
        return found

    def keys(self) -> list[HookKey]:
        """All hooks."""
        return list(self._hooks)

    def state(self) -> dict[HookKey, HookState]:
        """Every hook as the kernel tells it now."""
        flags = {key: _flags(hook.version.compiled) for key, hook in self._hooks.items()}
        shared = {known: self._shared.used(known) for known in set(flags.values())}
        if freed := self._freed.state():
            for known in shared:
                if known & _TRACKS_SOCKETS:
                    shared[known]["freed sockets"] = freed.memory_bytes
        return {key: self._state_of(key, hook, shared[flags[key]]) for key, hook in self._hooks.items()}

    def attached(self) -> dict[HookKey, bool]:
        """Whether each hook hangs in the kernel now."""
        places = {name: place.is_attached() for name, place in self._places.items()}
        return {key: places[place_key(key)] for key in self._hooks}

    def freed_sockets(self) -> HookState | None:
        """What follows the sockets that hooks track, as the kernel tells it now; None where none does."""
        return self._freed.state()

    def renew_freed_sockets(self) -> bool:
        """Attaches it anew, where it was found detached. False: the kernel refuses."""
        return self._freed.renew()

    def missed(self) -> dict[tuple[str, str], int]:
        """Calls that were not judged, by kind and target of the dispatcher; one serves all system calls."""
        return {name: place.missed() for name, place in self._places.items()}

    def renew(self, key: HookKey) -> bool:
        """Attaches dispatchers anew, where one was found detached. False: the kernel refuses."""
        name, template = place_key(key), self._template(key.attach)
        before = self._places.pop(name)
        sharing = [hook for hook in self._hooks.values() if hook.place is before]
        try:
            place = self._place(key, template)
            for hook in sharing:
                place.put(hook.slot, hook.version.program)
            self._attach(key, place)
        except TracehoundError:
            self._leave(key)
            self._places[name] = before
            return False
        for hook in sharing:
            hook.place = place
        before.close()
        return True

    def finish(self) -> None:
        """After a batch of changes: frees what only loading needs, and settles counts."""
        self._targets.forget()
        self._alike.forget()
        self._leaving.finish()
        for hook in self._hooks.values():
            self._settle(hook)
        if not self._tracking:
            self._freed.rest(self._shared.map("sockets"))

    def drop_unclaimed(self) -> list[str]:
        """Detaches what was pinned by an agent before and is no policy's now; returns it as `kind target`."""
        dropped = []
        for kind, target, path in list(hookpins.pinned(self._pin_dir)) if self._pin_dir else []:
            place = next((place for place in self._places.values() if place.pinned == path), None)
            if place is None:
                hookpins.unpin(path)
                dropped.append(f"{kind} {target}")
            elif place.adopted:
                used = {hook.slot for hook in self._hooks.values() if hook.place is place}
                for slot in set(range(place.slots)) - used:
                    place.clear(slot)
        return dropped

    def close(self) -> None:
        """Gives everything back; hooks run on where they are pinned."""
        for hook in self._hooks.values():
            for version in (hook.version, *(version for _, version in hook.retired)):
                version.close()
        self._leaving.wait()
        for place in self._places.values():
            place.close()
        for template in self._templates.values():
            template.close()
        self._freed.close()
        self._stand_ins.close()
        self._hooks.clear()
        self._places.clear()
        self._templates.clear()
        self._targets.close()

    def _let_calls_end(self) -> None:
        """Calls that began before the epoch was written still look for what it ended."""
        if time.monotonic() - self._flipped < _SETTLED_S:
            wait_for_programs()
            self._flipped = 0.0

    def _load(self, key: HookKey, compiled: Compiled) -> None:
        """Another version in the slot; the dispatcher first where the hook is new."""
        template = self._template(key.attach)
        target = self._targets.find(template.attach, target_of(key))
        preallocate = key.attach in PLAIN and self.must_preallocate()
        descriptors = self._shared.descriptors()
        version = load_version(template, target, compiled, descriptors, preallocate, self._alike)
        hook = self._hooks.get(key)
        slot = slot_of(key)
        try:
            place = hook.place if hook else self._place(key, template)
            if not hook and place.adopted:
                place = self._usable(key, template, place, version)
            place.put(slot, version.program)
            if not place.was_attached():
                self._attach(key, place)
        except TracehoundError:
            version.close()
            if not hook:
                self._leave(key)
            raise
        if hook:
            hook.retired.append((time.monotonic(), hook.version))
            hook.version = version
        else:
            self._hooks[key] = hook = _Hook(place, slot, version)
        self._settle(hook)

    def _place(self, key: HookKey, template: Template) -> Place:
        """The dispatcher for a hook, there already or made here and not attached yet."""
        name = place_key(key)
        place = self._places.get(name)
        if place:
            return place
        slots = 2 * dispatch.SYSTEM_CALLS if key.attach in BY_NUMBER else 1
        path = hookpins.place_of(self._pin_dir, *name) if self._pin_dir else None
        most = 2 if self._stand_ins.are_needed(key.attach, self._targets.kernel()) else 1
        found = hookpins.find(path, slots, most) if path else None
        if found and path:
            place = Place.taken_over(found, slots, path)
        else:
            place = Place(make_map("th_dispatch", MapForm(PROGRAM_ARRAY, 4, 4, slots, 0)).fd, slots)
            self._places[name] = place
            self._load_dispatchers(key, template, place)
        self._places[name] = place
        return place

    def _usable(self, key: HookKey, template: Template, place: Place, version: Version) -> Place:
        """What an agent before left may be of another type; it then goes, and a new dispatcher comes."""
        try:
            place.put(slot_of(key), version.program)
        except KernelRefused:
            if any(hook.place is place for hook in self._hooks.values()):
                raise
            self._leave(key)
            return self._place(key, template)
        return place

    def _load_dispatchers(self, key: HookKey, template: Template, place: Place) -> None:
        target = self._targets.find(template.attach, target_of(key))
        form, jump = ProgramType(template.type, template.attach), self._jump(key, place.array)
        both = self._stand_ins.mark(key.attach, self._targets.kernel())
        codes = [jump]
        if both:
            mark, place.stood_in = both
            codes = [dispatch.noting(mark, jump), dispatch.standing_in(mark, jump)]
        for code in codes:
            place.dispatchers.append(Dispatcher.loaded(load_code(form, target, code, "th_dispatcher")))

    def _jump(self, key: HookKey, array: int) -> bytes:
        if key.attach not in BY_NUMBER:
            return dispatch.jump_to_slot_0(array)
        if self._layout is None:
            self._layout = dispatch.call_layout(self._targets.kernel())
        return dispatch.jump_by_call(array, self._layout, key.attach == "sys_exit")

    def _attach(self, key: HookKey, place: Place) -> None:
        kind, target = ("raw_tp", key.attach) if key.attach in BY_NUMBER else key
        if self._template(key.attach).attach == 23:  # BPF_TRACE_RAW_TP: the program names the tracepoint
            kind = "tp_btf"
        place.attach(kind, target)
        if self._pin_dir and place.can_pin():
            path = hookpins.place_of(self._pin_dir, *place_key(key))
            hookpins.unpin(path)  # what could not be taken over
            hookpins.pin(path, **place.to_pin())
            place.pinned = path

    def _leave(self, key: HookKey, leaving: Leaving | None = None) -> None:
        """Takes the dispatcher away when no hook uses it, now or as `leaving` has it."""
        name = place_key(key)
        place = self._places.get(name)
        if place and not any(hook.place is place for hook in self._hooks.values()):
            if place.pinned:
                hookpins.unpin(place.pinned)
            del self._places[name]
            leaving.close(place) if leaving else place.close()

    def _template(self, kind: str) -> Template:
        known = self._templates.get(kind)
        if known is None:
            known = capture(self._file, f"hook_{kind}", self._shared.descriptors())
            if self._stand_ins.are_needed(kind, self._targets.kernel()):
                known = known.for_two_callers()
            self._templates[kind] = known
        return known

    def must_preallocate(self) -> bool:
        """Whether this kernel cannot allocate map entries wherever programs run."""
        return self._targets.must_preallocate()

    def _renew_all_but(self, key: HookKey) -> None:
        """Binds all other programs to shared maps that grew; one that fails keeps the small map."""
        for other in [other for other in self._hooks if other != key]:
            with suppress(KernelRefused):
                self._load(other, self._hooks[other].version.compiled)

    def _settle(self, hook: _Hook) -> None:
        """Takes the counts of versions in which nothing runs any more, and frees those."""
        while hook.retired and time.monotonic() - hook.retired[0][0] > _SETTLED_S:
            _, version = hook.retired.pop(0)
            _add(hook.earlier, version)
            version.close()

    def _state_of(self, key: HookKey, hook: _Hook, shared: Mapping[str, int]) -> HookState:
        place, version = hook.place, hook.version
        return HookState(
            *key,
            program_id=program_id(version.program),
            instructions=version.instructions,
            memory_bytes=version.memory(),
            survives_restart=place.can_pin(),
            is_pinned=place.pinned is not None,
            is_attached=place.is_attached(),
            missed=place.missed(),
            shared=shared,
        )


def _flags(compiled: Compiled) -> int:
    """enum hook_flags of a shape: its second word."""
    return int.from_bytes(compiled.shape[4:8], "little")


def _add(found: dict[int, tuple[int, ...]], version: Version) -> None:
    for bit, row in enumerate(version.counts()):
        if any(row):
            found[bit] = tuple(map(sum, itertools.zip_longest(found.get(bit, ()), row, fillvalue=0)))
