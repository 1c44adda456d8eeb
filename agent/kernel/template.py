# SPDX-License-Identifier: Apache-2.0
"""A program of an object file as libbpf would load it, taken at the moment before: relocated for this
kernel, with the places where map descriptors go. From it programs are loaded without reading the object and
the kernel's types again, which takes libbpf some 30 ms each time.

libbpf hands a program over through `prog_prepare_load_fn` of a section handler (libbpf.h, in 0.8 and
later), after relocation; refusing there ends its part.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from agent.errors import KernelRefused
from agent.kernel.fold import fold
from agent.kernel.libbpf import check, libbpf
from agent.kernel.objects import BpfObject
from agent.kernel.tiny import LoadOptions

_PREPARE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
_LOAD_64 = 0x18
"""Opcode of the 16-byte load of a constant; source register 1 or 2: the constant is a map's descriptor
(BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE of linux/bpf.h)."""

_NOWHERE = "jump_nowhere"
_NO_JUMP = ((_LOAD_64, 0x12, 0), (0, 0, 0), (0xB7, 3, 0), (0x85, 0, 12), (0xB7, 0, 0), (0x95, 0, 0))
"""r2 = the array; r3 = 0; bpf_tail_call(r1, r2, r3); return 0"""


class _HandlerOptions(ctypes.Structure):
    """struct libbpf_prog_handler_opts of libbpf.h."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("cookie", ctypes.c_long),
        ("setup", ctypes.c_void_p),
        ("prepare_load", _PREPARE),
        ("attach", ctypes.c_void_p),
    )


class MapForm(NamedTuple):
    """How a map of the object is made."""

    type: int
    """enum bpf_map_type."""
    key_size: int
    value_size: int
    entries: int
    flags: int


@dataclass(frozen=True, slots=True)
class Template:
    """A relocated program. Holds the descriptor of the object's types, which `close` gives back."""

    type: int
    """enum bpf_prog_type."""
    attach: int
    """enum bpf_attach_type."""
    code: bytes
    places: tuple[tuple[int, str], ...]
    """Byte offset of each map descriptor in the code, and the map's name."""
    maps: Mapping[str, MapForm]
    """Of all maps that the code refers to."""
    constants: Mapping[str, bytes]
    """Content of the read-only data sections among them."""
    function_info: bytes
    function_info_size: int
    """Bytes of one record."""
    types_fd: int

    def folded(self, shape: Mapping[str, bytes], shared: Collection[str]) -> Template:
        """With these further constants, and without what they rule out (agent.kernel.fold); what is shared
        has other content than the object's. Borrows the descriptor: not to be closed."""
        own = {name: content for name, content in self.constants.items() if name not in shared}
        constants = {**own, **shape}
        left = fold(self.code, self.places, self.function_info, self.function_info_size, constants)
        used = {name for _, name in left.places}
        maps = {name: form for name, form in self.maps.items() if name in used}
        return replace(self, code=left.code, places=left.places, function_info=left.function_info, maps=maps)

    def for_two_callers(self) -> Template:
        """The same with a jump that is never made: into an array that stays empty, if there were no context.
        Since v6.13 the kernel gives a program a stack of its own on each CPU where it knows that the program
        does not run there twice at one time (Linux kernel/bpf/verifier.c, bpf_enable_priv_stack). That does
        not hold for what two dispatchers jump to; programs that jump themselves are spared."""
        code = struct.pack("=BBhi", 0x55, 1, 6, 0)  # if r1 != 0 goto +6
        for operation, registers, imm in _NO_JUMP:
            code += struct.pack("=BBhi", operation, registers, 0, imm)
        moved = ((at + len(code), name) for at, name in self.places)
        info, size = bytearray(self.function_info), self.function_info_size
        for row in range(size, len(info), size):  # the first one begins with the program
            (begin,) = struct.unpack_from("=I", info, row)
            struct.pack_into("=I", info, row, begin + len(code) // 8)
        return replace(
            self,
            code=code + self.code,
            places=((12, _NOWHERE), *moved),
            maps={**self.maps, _NOWHERE: MapForm(3, 4, 4, 1, 0)},
            function_info=bytes(info),
        )

    def bound(self, descriptors: Mapping[str, int]) -> bytes:
        """The code with these maps."""
        code = bytearray(self.code)
        for offset, name in self.places:
            struct.pack_into("=i", code, offset, descriptors[name])
        return bytes(code)

    def close(self) -> None:
        """Gives the types back to the kernel."""
        if self.types_fd > 0:
            os.close(self.types_fd)


def capture(file: str, program: str, shared: Mapping[str, int]) -> Template:
    """Takes one program out of an object; `shared` maps are bound by libbpf already. Raises KernelRefused."""
    with suppress(KernelRefused), libbpf().unheard():
        return _captured(file, program, shared)
    return _captured(file, program, shared)  # once more, for what libbpf says


def _captured(file: str, program: str, shared: Mapping[str, int]) -> Template:
    section, kind, attach = _about(file, program)
    found: list[Template] = []
    holder = BpfObjectWith(
        section, kind, attach, lambda handle, options: found.append(_take(holder, handle, options))
    )
    try:
        holder.open(file, program, shared)
    finally:
        holder.close()
    if not found:
        raise libbpf().refused(f"{program} of {file} cannot be prepared", errno.EINVAL)
    libbpf().messages.clear()
    return found[0]


class BpfObjectWith:
    """An object that is opened while a handler of ours stands for one section."""

    def __init__(
        self, section: bytes, kind: int, attach: int, hand_over: Callable[[int, LoadOptions], None]
    ) -> None:
        def prepare(handle: int, options: int, _cookie: int) -> int:
            hand_over(handle, LoadOptions.from_address(options))
            return -errno.ECANCELED

        self._prepare = _PREPARE(prepare)
        _hold_one_handler()
        options = _HandlerOptions(sz=ctypes.sizeof(_HandlerOptions), prepare_load=self._prepare)
        number = libbpf().libbpf_register_prog_handler(section, kind, attach, ctypes.byref(options))
        self._handler = check(number, "section handler")
        self.object: BpfObject | None = None

    def open(self, file: str, program: str, shared: Mapping[str, int]) -> None:
        """Lets libbpf relocate the program; the load itself is cancelled."""
        self.object = BpfObject(file)
        self.object.select({program})
        for name in self.object.maps():
            if name in shared:
                self.object.reuse(name, shared[name])
        try:
            self.object.load()
        except KernelRefused as error:
            if error.errno != errno.ECANCELED:
                raise

    def close(self) -> None:
        """The handler goes after the object that was opened with it."""
        if self.object:
            self.object.close()
        libbpf().libbpf_unregister_prog_handler(self._handler)


@cache
def _hold_one_handler() -> None:
    """libbpf 1.1 uses freed memory once the last handler is unregistered (libbpf.c,
    libbpf_unregister_prog_handler: its array shrinks to nothing), so one stays for good."""
    check(libbpf().libbpf_register_prog_handler(b"th_none", 1, 0, None), "section handler")


def _about(file: str, program: str) -> tuple[bytes, int, int]:
    """Section, program type and attach type, as libbpf knows them."""
    opened = BpfObject(file)
    try:
        handle = opened.program_handle(program)
        kind, attach = libbpf().bpf_program__type(handle), libbpf().bpf_program__expected_attach_type(handle)
        return libbpf().bpf_program__section_name(handle), kind, attach
    finally:
        opened.close()


def _take(holder: BpfObjectWith, handle: int, options: LoadOptions) -> Template:
    if holder.object is None:
        raise AssertionError("the object is open while it loads")
    code = ctypes.string_at(libbpf().bpf_program__insns(handle), 8 * libbpf().bpf_program__insn_cnt(handle))
    names = {holder.object.map(name).fd: name for name in holder.object.maps()}
    places = tuple(_map_places(code, names))
    forms = {name: MapForm(*holder.object.map_shape(name).values()) for _, name in places}
    constants = {name: holder.object.initial_value(name) for name in forms if ".rodata" in name}
    info = b""
    if options.func_info:
        info = ctypes.string_at(options.func_info, options.func_info_cnt * options.func_info_rec_size)
    types = os.dup(options.prog_btf_fd) if info else 0
    kind, attach = libbpf().bpf_program__type(handle), libbpf().bpf_program__expected_attach_type(handle)
    return Template(kind, attach, code, places, forms, constants, info, options.func_info_rec_size, types)


def _map_places(code: bytes, names: Mapping[int, str]) -> list[tuple[int, str]]:
    """The second half of a wide instruction has opcode 0, so each place with that of a load begins one."""
    places, opcodes = [], code[::8]
    at = opcodes.find(_LOAD_64)
    while at >= 0:
        if code[8 * at + 1] >> 4 in (1, 2):
            places.append((8 * at + 4, names[struct.unpack_from("=i", code, 8 * at + 4)[0]]))
        at = opcodes.find(_LOAD_64, at + 1)
    return places
