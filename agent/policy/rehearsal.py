# SPDX-License-Identifier: Apache-2.0
"""Loads hooks' programs without attaching them: the kernel tells what its verifier looks at and what they
take."""

from __future__ import annotations

import os
from typing import NamedTuple, Self

from agent.errors import TracehoundError
from agent.kernel.alike import Alike
from agent.kernel.hookprogram import load_version
from agent.kernel.hooks import PLAIN
from agent.kernel.mapfill import make_constants, make_map, sized
from agent.kernel.objects import BpfObject
from agent.kernel.sensor import CONFIG
from agent.kernel.sharedmaps import FROM_SENSOR, SharedMaps
from agent.kernel.targets import Targets
from agent.kernel.template import MapForm, Template, capture
from agent.kernel.tiny import takes_fetching_atomics
from agent.policy.compile import CompiledHook
from agent.policy.values import HookKey
from agent.settings import KernelSettings

_RING = 27
"""BPF_MAP_TYPE_RINGBUF of linux/bpf.h."""
_SMALL = 4096
_BY_NUMBER = ("sys_enter", "sys_exit")


class Rehearsed(NamedTuple):
    """One hook's program."""

    instructions: int
    """That the verifier looked at."""
    memory_bytes: int
    """Of the program and its own maps."""
    refused: str = ""
    """Why the kernel does not take it; then the numbers are 0."""


class Rehearsal:
    """A context in which programs are loaded with maps of their own, beside any agent."""

    def __enter__(self) -> Self:
        self._targets = Targets()
        must = self._targets.must_preallocate()
        self._sensor = _sensor_maps(must)
        self._shared = SharedMaps(self._sensor, preallocate=lambda: must)
        self._templates: dict[str, Template] = {}
        self._alike = Alike()
        self._file = "hook.bpf.o" if takes_fetching_atomics() else "hook_plain.bpf.o"
        return self

    def __exit__(self, *_exc: object) -> None:
        for template in self._templates.values():
            template.close()
        self._alike.forget()
        self._targets.close()
        self._shared.close()
        for fd in self._sensor.values():
            os.close(fd)

    def load(self, key: HookKey, compiled: CompiledHook) -> Rehearsed:
        """Loads one and gives it back at once."""
        try:
            template = self._template(key.attach)
            name = key.attach if key.attach in _BY_NUMBER else key.target
            target = self._targets.find(template.attach, name)
            preallocate = key.attach in PLAIN and self._targets.must_preallocate()
            descriptors = self._shared.descriptors()
            version = load_version(template, target, compiled, descriptors, preallocate, self._alike)
        except TracehoundError as error:
            return Rehearsed(0, 0, error.message)
        try:
            return Rehearsed(version.instructions, version.memory())
        finally:
            version.close()

    def _template(self, kind: str) -> Template:
        known = self._templates.get(kind)
        if known is None:
            known = capture(self._file, f"hook_{kind}", self._shared.descriptors())
            self._templates[kind] = known
        return known


def _sensor_maps(preallocate: bool) -> dict[str, int]:
    """As the base sensor makes them, the ring as small as can be."""
    opened = BpfObject("base.bpf.o")
    try:
        return {name: _sensor_map(opened, name, preallocate) for name in FROM_SENSOR}
    finally:
        opened.close()


def _sensor_map(opened: BpfObject, name: str, preallocate: bool) -> int:
    form = MapForm(*opened.map_shape(name).values())
    if name.startswith("."):
        settings = KernelSettings()
        sizes = settings.ring_bytes, 0, settings.arguments_bytes, settings.environment_bytes
        return make_constants(name, CONFIG.pack(*sizes, 0, False, False)).fd
    if form.type == _RING:
        return make_map(name, form._replace(entries=_SMALL)).fd
    return make_map(name, sized(form, 0, preallocate)).fd
