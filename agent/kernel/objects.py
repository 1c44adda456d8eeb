# SPDX-License-Identifier: Apache-2.0
"""A BPF object file: open, set constants, load, attach, look into maps."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from agent.errors import KernelRefused, KernelUnsupported
from agent.kernel.btf import Btf
from agent.kernel.libbpf import check, libbpf
from agent.kernel.links import fd_facts, program_on

OBJECTS = Path(__file__).parent / "objects"


class BpfMap:
    """A map by file descriptor. Keys and values are bytes of the map's sizes."""

    def __init__(self, fd: int, value_size: int) -> None:
        self.fd = fd
        self.value_size = value_size

    def lookup(self, key: bytes, size: int | None = None) -> bytes | None:
        """The value, or None. `size` for per-CPU maps: value size rounded up to 8, times possible CPUs."""
        value = ctypes.create_string_buffer(size or self.value_size)
        if libbpf().bpf_map_lookup_elem(self.fd, key, value):
            return None
        return value.raw

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Raises KernelRefused (E2BIG: full, EEXIST, ENOENT by flags)."""
        if libbpf().bpf_map_update_elem(self.fd, key, value, flags):
            raise libbpf().refused("map update", ctypes.get_errno())

    def delete(self, key: bytes) -> bool:
        """Whether the key was there."""
        return not libbpf().bpf_map_delete_elem(self.fd, key)

    def keys(self, key_size: int = 4) -> list[bytes]:
        """All keys. The map may change meanwhile: the kernel starts again at the first key when the last one
        that it gave is gone, so the walk is bounded."""
        found: dict[bytes, None] = {}
        key = ctypes.create_string_buffer(key_size)
        previous, again = None, 0
        while again <= len(found) + 1000 and not libbpf().bpf_map_get_next_key(self.fd, previous, key):
            previous = key.raw
            again += previous in found
            found[previous] = None
        return list(found)


class BpfObject:
    """An object file from `agent/kernel/objects`, or any other path."""

    def __init__(self, name: str) -> None:
        self.path = OBJECTS / name if "/" not in name else Path(name)
        if not self.path.exists():
            raise KernelUnsupported(f"{self.path} is not built", "run `make build` in the checkout")
        self._handle = libbpf().bpf_object__open_file(str(self.path).encode(), None)
        if not self._handle:
            raise libbpf().refused(
                f"cannot open {self.path.name}", ctypes.get_errno(), "run `make build` again"
            )
        self._links: dict[str, int] = {}
        self._renewed: dict[str, BpfObject] = {}
        """By program: the object that holds its copy."""

    def btf(self) -> Btf:
        """The object's own types: the wire format."""
        return Btf(libbpf().bpf_object__btf(self._handle), owned=False)

    def programs(self) -> list[str]:
        """Names of all programs of the file, loaded or not."""
        names, handle = [], libbpf().bpf_object__next_program(self._handle, None)
        while handle:
            names.append(libbpf().bpf_program__name(handle).decode())
            handle = libbpf().bpf_object__next_program(self._handle, handle)
        return names

    def maps(self) -> list[str]:
        """Names of all maps of the file, those of its data sections included."""
        names, handle = [], libbpf().bpf_object__next_map(self._handle, None)
        while handle:
            names.append(libbpf().bpf_map__name(handle).decode())
            handle = libbpf().bpf_object__next_map(self._handle, handle)
        return names

    def select(self, wanted: set[str]) -> None:
        """Only these programs will be loaded."""
        for name in self.programs():
            libbpf().bpf_program__set_autoload(self._program(name), name in wanted)

    def set_constants(self, map_name: str, value: bytes) -> None:
        """Content of a read-only data section (its map is named by the section), before load."""
        handle = self._map(map_name)
        check(libbpf().bpf_map__set_initial_value(handle, value, len(value)), f"constants of {map_name}")

    def initial_value(self, map_name: str) -> bytes:
        """Content of a data section as it will be loaded."""
        size = ctypes.c_size_t(0)
        address = libbpf().bpf_map__initial_value(self._map(map_name), ctypes.byref(size))
        return ctypes.string_at(address, size.value) if address else b""

    def set_entries(self, map_name: str, entries: int) -> None:
        """Size of a map, before load (bytes for a ring buffer)."""
        check(libbpf().bpf_map__set_max_entries(self._map(map_name), entries), f"size of {map_name}")

    def set_map_flags(self, map_name: str, flags: int) -> None:
        """Creation flags of a map, before load."""
        check(libbpf().bpf_map__set_map_flags(self._map(map_name), flags), f"flags of {map_name}")

    def reuse(self, map_name: str, fd: int) -> None:
        """Uses an existing (pinned) map instead of making one, before load."""
        check(libbpf().bpf_map__reuse_fd(self._map(map_name), fd), f"reuse of {map_name}")

    def load(self) -> None:
        """Loads the selected programs and all maps. KernelRefused carries the verifier's last lines."""
        libbpf().messages.clear()
        result = libbpf().bpf_object__load(self._handle)
        if result:
            raise libbpf().refused(f"the kernel refuses {self.path.name}", -result)

    def map_shape(self, name: str) -> dict[str, int]:
        """Sizes and flags that a map has or will have, by their names in /proc/PID/fdinfo."""
        handle = self._map(name)
        return {
            "map_type": libbpf().bpf_map__type(handle),
            "key_size": libbpf().bpf_map__key_size(handle),
            "value_size": libbpf().bpf_map__value_size(handle),
            "max_entries": libbpf().bpf_map__max_entries(handle),
            "map_flags": libbpf().bpf_map__map_flags(handle),
        }

    def pin(self, map_name: str, path: Path) -> None:
        """Gives a loaded map a name on a bpffs."""
        check(libbpf().bpf_map__pin(self._map(map_name), str(path).encode()), f"pin {path}")

    def map(self, name: str) -> BpfMap:
        """A loaded map."""
        handle = self._map(name)
        return BpfMap(libbpf().bpf_map__fd(handle), libbpf().bpf_map__value_size(handle))

    def program_fd(self, name: str) -> int:
        """File descriptor of a loaded program, negative when it was not selected."""
        return int(libbpf().bpf_program__fd(self._program(name)))

    def program_handle(self, name: str) -> int:
        """libbpf's `struct bpf_program *`, valid until close."""
        return self._program(name)

    def attach(self, name: str) -> int:
        """Attaches by the program's section name; returns the link's file descriptor."""
        handle = libbpf().bpf_program__attach(self._program(name))
        if not handle:
            raise libbpf().refused(f"cannot attach {name}", ctypes.get_errno())
        self._links[name] = handle
        return int(libbpf().bpf_link__fd(handle))

    def renew(self, name: str) -> None:
        """Loads a program once more, on the same maps. Kernels before Linux kernel commit f3a95075549e "bpf:
        Allow trampoline re-attach for tracing and lsm programs" (in v5.13) attach an fentry or LSM program
        only once."""
        copy = BpfObject(str(self.path))
        try:
            copy.select({name})
            for map_name in self.maps():
                copy.reuse(map_name, self.map(map_name).fd)
            copy.load()
        except KernelRefused:
            copy.close()
            raise
        before, self._renewed[name] = self._renewed.get(name), copy
        if before:
            before.close()

    def detach(self, name: str) -> None:
        """Detaches one program; nothing to do when it is not attached."""
        link = self._links.pop(name, None)
        if not link:
            return
        if not fd_facts(libbpf().bpf_link__fd(link)):
            libbpf().bpf_link__disconnect(link)  # closed behind our back: the number may be another's soon
        libbpf().bpf_link__destroy(link)

    def attached_program(self, name: str) -> int:
        """Number of the program that the kernel says hangs on our link; 0 when there is none."""
        link = self._links.get(name)
        return program_on(libbpf().bpf_link__fd(link)) if link else 0

    def run_iterator(self, name: str, chunk_bytes: int = 1 << 18) -> bytes:
        """Runs an iterator program to its end and returns all that it wrote."""
        link = libbpf().bpf_program__attach_iter(self._program(name), None)
        if not link:
            raise libbpf().refused(f"cannot attach iterator {name}", ctypes.get_errno())
        try:
            fd = check(libbpf().bpf_iter_create(libbpf().bpf_link__fd(link)), f"iterator {name}")
            try:
                parts = []
                while part := os.read(fd, chunk_bytes):
                    parts.append(part)
                return b"".join(parts)
            finally:
                os.close(fd)
        finally:
            libbpf().bpf_link__destroy(link)

    def close(self) -> None:
        """Detaches everything and frees programs and maps that are not pinned."""
        for name in list(self._links):
            self.detach(name)
        for copy in self._renewed.values():
            copy.close()
        self._renewed.clear()
        if self._handle:
            libbpf().bpf_object__close(self._handle)
            self._handle = None

    def _map(self, name: str) -> int:
        handle: int | None = (
            libbpf().bpf_object__find_map_by_name(self._handle, name.encode()) if self._handle else None
        )
        if not handle:
            raise KernelRefused(f"{self.path.name} has no map {name}", 2, hint="run `make build` again")
        return handle

    def _program(self, name: str) -> int:
        if name in self._renewed:
            return self._renewed[name]._program(name)
        handle: int | None = (
            libbpf().bpf_object__find_program_by_name(self._handle, name.encode()) if self._handle else None
        )
        if not handle:
            raise KernelRefused(f"{self.path.name} has no program {name}", 2, hint="run `make build` again")
        return handle
