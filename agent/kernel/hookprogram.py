# SPDX-License-Identifier: Apache-2.0
"""One version of a hook's program: its maps, filled, and the program that reads them."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.errors import KernelRefused
from agent.kernel.alike import Alike
from agent.kernel.libbpf import libbpf
from agent.kernel.links import program_info
from agent.kernel.mapfill import (
    change,
    changes_in_place,
    fits,
    make_constants,
    make_map,
    memory_of,
    prepare,
    sized,
    tables_form,
)
from agent.kernel.objects import BpfMap
from agent.kernel.targets import Target
from agent.kernel.template import MapForm, Template
from agent.kernel.tiny import LoadOptions

SHAPE, TABLES = ".rodata.shape", "tables"
_STATISTICS, _TRACE = 4, 1
"""BPF_LOG_STATS and BPF_LOG_LEVEL1 of linux/bpf_verifier.h."""
_SHORT_LOG, _LONG_LOG = 1 << 16, 1 << 24
_SELECTORS_LEAST = 16
"""Room for more of them without another program."""
_FLAGS, _MORE_ROUNDS = slice(4, 8), 1 << 16 | 1 << 17
"""Of struct shape: `flags`, and in it HOOK_MANY_CLASSES and HOOK_MANY_SELECTORS, with which a program does
all that one without them does."""
_COUNTS = struct.Struct("=12Q")
"""struct selector_count of kprobes/include/policy.h."""


class Compiled(Protocol):
    """agent.policy.compile.CompiledHook: all that a hook's program is made of."""

    @property
    def shape(self) -> bytes:
        """struct shape."""

    @property
    def maps(self) -> Mapping[str, Mapping[bytes, bytes]]:
        """Content of every map of the hook."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Entries that maps need, where it is more than their content."""


@dataclass(slots=True)
class Version:
    """A loaded program and its maps; `close` gives them back, the kernel frees them when nothing uses
    them."""

    program: int
    instructions: int
    """That the verifier looked at."""
    compiled: Compiled
    maps: dict[str, BpfMap]
    forms: dict[str, MapForm]
    shared: Mapping[str, int]
    """Numbers of shared maps that this version is bound to."""
    used: int = 0
    """So many selectors, from the first, are or were in use."""
    shape: bytes = b""
    """That the program was loaded with."""

    def __post_init__(self) -> None:
        self.used = _used(self.compiled)
        self.shape = self.compiled.shape

    def takes(self, compiled: Compiled) -> bool:
        """Whether a change needs no other program."""
        room = all(
            fits(self.forms[name], needed) for name, needed in needs(compiled).items() if name in self.forms
        )
        return (
            room
            and self.shape in (compiled.shape, _with_flags(compiled.shape, self.shape))
            and changes_in_place(self.compiled.maps, compiled.maps)
        )

    def become(self, compiled: Compiled) -> None:
        """Changes the maps in place, or leaves them as they were and raises KernelRefused."""
        try:
            change(self.maps, self.forms, self.compiled.maps, compiled.maps)
        except KernelRefused:
            both = {
                name: {**compiled.maps.get(name, {}), **self.compiled.maps.get(name, {})}
                for name in compiled.maps
            }
            change(self.maps, self.forms, _unlike(both), self.compiled.maps)
            raise
        self.compiled = compiled
        self.used = max(self.used, _used(compiled))

    def counts(self) -> list[tuple[int, ...]]:
        """struct selector_count by selector."""
        table = self.maps["selector_counts"]
        rows = (table.lookup(struct.pack("=I", bit)) or bytes(_COUNTS.size) for bit in range(self.used))
        return [_COUNTS.unpack(row) for row in rows]

    def memory(self) -> int:
        """Bytes of kernel memory of program and own maps."""
        return memory_of(self.program) + sum(memory_of(one.fd) for one in self.maps.values())

    def close(self) -> None:
        """Gives program and maps back."""
        for one in self.maps.values():
            os.close(one.fd)
        self.maps.clear()
        os.close(self.program)


def _with_flags(shape: bytes, other: bytes) -> bytes:
    """A shape with those flags of another one that let a program do more rounds."""
    flags, more = (int.from_bytes(each[_FLAGS], "little") for each in (shape, other))
    return shape[: _FLAGS.start] + (flags | more & _MORE_ROUNDS).to_bytes(4, "little") + shape[_FLAGS.stop :]


def needs(compiled: Compiled) -> dict[str, int]:
    """Entries that each map must hold. Keys of arrays are numbers, so the highest counts."""
    found = dict(compiled.sizes)
    for name, content in compiled.maps.items():
        highest = max((int.from_bytes(key, "little") for key in content if len(key) == 4), default=-1) + 1
        found[name] = max(found.get(name, 0), len(content), highest)
    selectors = max(_SELECTORS_LEAST, 1 << (found.get("selectors", 1) - 1).bit_length())
    return {**found, "selectors": selectors, "selector_counts": selectors}


def load_version(
    template: Template,
    target: Target,
    compiled: Compiled,
    shared: Mapping[str, int],
    preallocate: bool,
    alike: Alike | None = None,
) -> Version:
    """Makes and fills the maps, then loads the program. `alike`: what was folded for other hooks. Raises
    KernelRefused with the verifier's last lines; nothing is left then."""
    maps: dict[str, BpfMap] = {}
    forms: dict[str, MapForm] = {}
    needed = needs(compiled)
    _check_shape(compiled, template.maps[SHAPE])
    template = (alike or Alike()).folded(template, SHAPE, compiled.shape, shared)
    try:
        for name, form in template.maps.items():
            if name == SHAPE:
                maps[name] = make_constants(name, compiled.shape)
            elif name in shared:
                continue
            elif name in template.constants:
                maps[name] = make_constants(name, template.constants[name])
            else:
                forms[name] = sized(form, needed.get(name, 0), preallocate)
                if name == TABLES:
                    forms[name] = tables_form(form, compiled.shape)
                maps[name] = make_map(name, forms[name])
                prepare(name, maps[name], forms[name])
        change(maps, forms, {}, compiled.maps)
        descriptors = {**shared, **{name: one.fd for name, one in maps.items()}}
        program, instructions = _load(template, target, template.bound(descriptors))
    except KernelRefused:
        for one in maps.values():
            os.close(one.fd)
        raise
    return Version(program, instructions, compiled, maps, forms, dict(shared))


def _load(template: Template, target: Target, code: bytes) -> tuple[int, int]:
    """Descriptor, and instructions that the verifier looked at."""
    fd, log = _try(template, target, code, _STATISTICS, _SHORT_LOG)
    if fd < 0:
        again, long = _try(template, target, code, _TRACE, _LONG_LOG)  # once more, for what it says
        if again < 0:
            what = "the kernel refuses the hook's program"
            raise libbpf().refused(what, -fd, _hint(-fd), long or log or " ")
        fd = again
    told = re.search(r"processed (\d+) insns", log)
    return fd, program_info(fd).verified_instructions or int(told[1] if told else 0)


def _try(template: Template, target: Target, code: bytes, level: int, log_bytes: int) -> tuple[int, str]:
    log = ctypes.create_string_buffer(log_bytes)
    options = LoadOptions(
        sz=ctypes.sizeof(LoadOptions),
        attempts=5,
        expected_attach_type=template.attach,
        prog_btf_fd=template.types_fd,
        attach_btf_id=target.type_id,
        attach_btf_obj_fd=target.types_fd,
        log_level=level,
        log_size=log_bytes,
        log_buf=ctypes.cast(log, ctypes.c_char_p),
    )
    if template.function_info:
        options.func_info = ctypes.cast(ctypes.c_char_p(template.function_info), ctypes.c_void_p)
        options.func_info_rec_size = template.function_info_size
        options.func_info_cnt = len(template.function_info) // template.function_info_size
    fd = libbpf().bpf_prog_load(
        template.type, b"th_hook", b"Dual BSD/GPL", code, len(code) // 8, ctypes.byref(options)
    )
    return int(fd), log.value.decode(errors="replace")


def _check_shape(compiled: Compiled, form: MapForm) -> None:
    if len(compiled.shape) != form.value_size:
        what = f"a shape of {len(compiled.shape)} bytes for programs that take {form.value_size}"
        raise KernelRefused(what, errno.EINVAL, hint="run `make build` again")


def _used(compiled: Compiled) -> int:
    """Up to the last selector in use."""
    bits = [int.from_bytes(key, "little") for key in compiled.maps.get("selectors", {})]
    return max(bits, default=-1) + 1


def _hint(number: int) -> str:
    if number == errno.E2BIG:
        return (
            "too many different conditions on one hook for this kernel's verifier: split the policies' hooks"
        )
    return "`tracehound policy explain` shows what the hook's program holds"


def _unlike(content: Mapping[str, Mapping[bytes, bytes]]) -> dict[str, dict[bytes, bytes]]:
    """The same keys with values that differ from all, so that everything is written."""
    return {name: dict.fromkeys(entries, b"") for name, entries in content.items()}
