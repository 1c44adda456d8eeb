# SPDX-License-Identifier: Apache-2.0
"""Maps of one hook: made large enough for a content, filled, and changed in place where readers stay
right."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Mapping

from agent.errors import KernelRefused
from agent.kernel.libbpf import libbpf
from agent.kernel.links import fd_facts
from agent.kernel.objects import BpfMap
from agent.kernel.template import MapForm

Content = Mapping[str, Mapping[bytes, bytes]]
"""By map name: key to value."""

ARRAY, PROGRAM_ARRAY, HASH = 2, 3, 1
"""enum bpf_map_type."""
_NO_PREALLOC, _READ_ONLY = 1 << 0, 1 << 7
"""BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG of linux/bpf.h."""
_STEADY = {"ranges": 8, "bits": 8, "automaton_bytes": 4, "automaton_next": 4}
"""Maps that a program searches or walks: leading bytes of a value that do not change while programs read
it."""
FILTERS_AT, FILTER_BYTES, FILTERS = 8320, 40, 24
"""In struct tables of kprobes/include/policy.h: struct filter_table filter[], each beginning with where its
part of `ranges` or `bits` lies (8 bytes)."""
PATHS_AT, PATH_TABLE_BYTES, PATH_WORD_BYTES = 9280, 32768, 8192
"""In struct tables: struct path_table path[], by word of a set."""
_WORDS_AT, _PATH_VALUES_AT, _NO_VALUE = 8, 36, 0xFF
"""In struct shape: `words`, and which values have a path table."""
_FIRST, _LAST = "selectors", "tables"
"""New selectors stand, for a later epoch, before anything gives their bits."""


class _MapOptions(ctypes.Structure):
    """struct bpf_map_create_opts of libbpf's bpf.h, which goes by its size."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("btf_fd", ctypes.c_uint32),
        ("btf_key_type_id", ctypes.c_uint32),
        ("btf_value_type_id", ctypes.c_uint32),
        ("btf_vmlinux_value_type_id", ctypes.c_uint32),
        ("inner_map_fd", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("map_extra", ctypes.c_uint64),
        ("numa_node", ctypes.c_uint32),
        ("map_ifindex", ctypes.c_uint32),
    )


def make_map(name: str, form: MapForm) -> BpfMap:
    """An empty map. Raises KernelRefused."""
    options = _MapOptions(sz=ctypes.sizeof(_MapOptions), map_flags=form.flags)
    short = name.lstrip(".").replace(".", "_")[:15].encode()
    fd = libbpf().bpf_map_create(
        form.type, short, form.key_size, form.value_size, form.entries, ctypes.byref(options)
    )
    if fd < 0:
        raise libbpf().refused(f"map {name} of {form.entries:,} entries", -fd, log=" ")
    return BpfMap(fd, form.value_size)


def make_constants(name: str, value: bytes) -> BpfMap:
    """A data section that the verifier may take for constant: filled, then frozen."""
    made = make_map(name, MapForm(ARRAY, 4, len(value), 1, _READ_ONLY))
    try:
        made.update(struct.pack("=I", 0), value)
        if libbpf().bpf_map_freeze(made.fd):
            raise libbpf().refused(f"freeze {name}", ctypes.get_errno(), log=" ")
    except KernelRefused:
        os.close(made.fd)
        raise
    return made


def sized(form: MapForm, needed: int, preallocate: bool) -> MapForm:
    """The form with room for `needed` entries and as many again, so that most changes need no other map."""
    flags = form.flags & ~_NO_PREALLOC if preallocate and form.type == HASH else form.flags
    if not needed:
        return form._replace(flags=flags)
    room = 1 << (2 * needed - 1).bit_length() if form.entries == 1 and needed > 1 else needed
    return form._replace(entries=max(form.entries, room, 16 if form.type != ARRAY else 1), flags=flags)


def tables_form(form: MapForm, shape: bytes) -> MapForm:
    """Of `tables`: as far as a shape uses it."""
    words = int.from_bytes(shape[_WORDS_AT : _WORDS_AT + 4], "little")
    used = [n for n, value in enumerate(shape[_PATH_VALUES_AT : _PATH_VALUES_AT + 2]) if value != _NO_VALUE]
    paths = PATH_TABLE_BYTES * used[-1] + PATH_WORD_BYTES * words if used else 0
    return form._replace(value_size=PATHS_AT + paths)


def fits(form: MapForm, needed: int) -> bool:
    """Whether a map holds as many entries."""
    return needed <= form.entries


def changes_in_place(before: Content, after: Content) -> bool:
    """Whether the change is right for programs that read meanwhile: sets of a present entry change, the
    order of searched arrays and an automaton's steps do not."""
    for name, width in _STEADY.items():
        old, new = before.get(name, {}), after.get(name, {})
        if old.keys() != new.keys() or any(old[key][:width] != new[key][:width] for key in new):
            return False
    return _parts(before) == _parts(after)


def _parts(content: Content) -> list[bytes]:
    """Which entries of `ranges` and `bits` belong to which filter."""
    tables = b"".join(content.get("tables", {}).values())
    starts = range(FILTERS_AT, FILTERS_AT + FILTERS * FILTER_BYTES, FILTER_BYTES)
    return [tables[at : at + 8] for at in starts]


def change(maps: Mapping[str, BpfMap], forms: Mapping[str, MapForm], before: Content, after: Content) -> None:
    """Writes what differs: selectors, then values of all maps, then removes keys. Raises KernelRefused
    where a map takes no more; the caller then changes back. Maps that no instruction of the program uses
    were not made and are passed over."""
    for name in sorted(after.keys() & maps.keys(), key=lambda name: (name != _FIRST, name == _LAST, name)):
        old = before.get(name, {})
        for key, value in after[name].items():
            if old.get(key) != value:
                maps[name].update(key, value)
    for name in before.keys() & maps.keys():
        old = before[name]
        for key in old.keys() - after.get(name, {}).keys():
            if forms[name].type == ARRAY:
                maps[name].update(key, blank(name, forms[name]))
            else:
                maps[name].delete(key)


def blank(name: str, form: MapForm) -> bytes:
    """What stands in an array where nothing does. An unused selector begins to count at the end of time: a
    program that reads its first word now and its second one after it was put to use takes it for unused, or
    for new."""
    start = b"\xff" * 8 if name == _FIRST else b""
    return start.ljust(form.value_size, b"\0")


def prepare(name: str, made: BpfMap, form: MapForm) -> None:
    """Blank rows of a new array, where they are not zero."""
    row = blank(name, form)
    if form.type == ARRAY and any(row):
        for number in range(form.entries):
            made.update(struct.pack("=I", number), row)


def memory_of(fd: int) -> int:
    """Bytes of kernel memory that a map or program is charged for (/proc/PID/fdinfo, proc(5))."""
    return int(fd_facts(fd).get("memlock", "0"))
