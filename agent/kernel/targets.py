# SPDX-License-Identifier: Apache-2.0
"""Where programs with BTF targets attach: the number of a function, LSM hook or tracepoint in the types of
the kernel or of a module (modules since v5.11, /sys/kernel/btf)."""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple

from agent.errors import KernelUnsupported
from agent.kernel.btf import KIND_FUNC, KIND_TYPEDEF, Btf
from agent.kernel.libbpf import libbpf
from agent.kernel.tiny import TYPES

_FORMS = {24: "fentry", 25: "fexit", 26: "fmod_ret", 27: "lsm", 23: "tp_btf"}
"""enum bpf_attach_type of programs that name their target at load."""


class Target(NamedTuple):
    """What a program says at load; zeros for programs that are told when they attach."""

    type_id: int = 0
    types_fd: int = 0
    """Descriptor of the module's types, 0 for the kernel's. Owned by `Targets`."""


class Targets:
    """Finds targets and remembers them. `close` gives all types back."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], Target] = {}
        self._kernel: Btf | None = None
        self._modules: list[int] = []
        self._preallocates: bool | None = None

    def find(self, attach: int, name: str) -> Target:
        """Raises KernelUnsupported where nothing has this name."""
        form = _FORMS.get(attach)
        if form is None:
            return Target()
        known = self._found.get((attach, name))
        if known is None:
            known = self._found[attach, name] = self._search(form, name)
        return known

    def kernel(self) -> Btf:
        """The kernel's types, kept until `forget`."""
        if self._kernel is None:
            self._kernel = Btf.of_kernel()
        return self._kernel

    def must_preallocate(self) -> bool:
        """Whether this kernel cannot allocate map entries wherever programs run (agent/kernel/choices.py,
        needs_preallocation)."""
        if self._preallocates is None:
            self._preallocates = not self.kernel().has_struct("bpf_mem_alloc")
        return self._preallocates

    def forget(self) -> None:
        """Frees the kernel's types (6 MB); what was found stays known."""
        if self._kernel:
            self._kernel.close()
            self._kernel = None

    def close(self) -> None:
        """Frees everything."""
        self.forget()
        for fd in self._modules:
            os.close(fd)
        self._modules.clear()
        self._found.clear()

    def _search(self, form: str, name: str) -> Target:
        full = (TYPES[form].prefix or "") + name
        kind = KIND_TYPEDEF if form == "tp_btf" else KIND_FUNC
        type_id = self.kernel().find(full, kind)
        if type_id:
            return Target(type_id)
        return self._search_modules(full, kind)

    def _search_modules(self, full: str, kind: int) -> Target:
        number = ctypes.c_uint32(1)  # the kernel's own is the first
        while not libbpf().bpf_btf_get_next_id(number.value, ctypes.byref(number)):
            with Btf.of_module(number.value, self.kernel()) as types:
                type_id = types.find(full, kind) if types else 0
            if type_id:
                fd = libbpf().bpf_btf_get_fd_by_id(number.value)
                if fd >= 0:
                    self._modules.append(fd)
                    return Target(type_id, fd)
        raise KernelUnsupported(f"this kernel's types and its modules' have no {full}")
