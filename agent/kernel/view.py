# SPDX-License-Identifier: Apache-2.0
"""What policies ask of this kernel: does a function, LSM hook or tracepoint exist, what does it take, and how
can one hang on it. Everything is read or tried when it is first asked, and kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from agent.errors import KernelUnsupported
from agent.kernel import attempts
from agent.kernel.btf import KIND_FUNC, KIND_TYPEDEF, Btf
from agent.kernel.formats import Field, parse_format
from agent.kernel.host import active_security_modules, effective_capabilities, may_load
from agent.kernel.mounts import read_kernel_file, read_mounts
from agent.kernel.preemption import preempts_programs
from agent.kernel.probes import HELPERS, Answer
from agent.kernel.shapes import Parameter, Prototype, declared, describe_function
from agent.kernel.symbols import Symbols

_T = TypeVar("_T")
_MODULE_TYPES = Path("/sys/kernel/btf")
_LSM, _TRACEPOINT = "bpf_lsm_", "btf_trace_"


class KernelView:
    """A view of the running kernel. Nothing is loaded for longer than a question takes."""

    def __init__(self, known: Mapping[str, Answer] | None = None) -> None:
        """`known`: answers by kind of attachment or helper that are taken as given and not tried, such as
        those of another kernel; targets of such kinds are not tried either."""
        self.known = dict(known or {})
        self.machine = os.uname().machine
        self._kept: dict[tuple[object, ...], object] = {}
        self._modules: dict[str, Btf | None] = {}

    def close(self) -> None:
        """Frees the types."""
        for btf in [*self._modules.values(), self.__dict__.pop("btf", None)]:
            if btf:
                btf.close()
        self._modules.clear()
        self._kept.clear()

    def __enter__(self) -> KernelView:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @cached_property
    def btf(self) -> Btf:
        """The kernel's own types. Raises KernelUnsupported where there are none."""
        return Btf.of_kernel()

    @cached_property
    def symbols(self) -> Mapping[str, tuple[str, int]]:
        """Functions by name: module and how many there are."""
        return Symbols()

    @cached_property
    def may_load(self) -> bool:
        """Whether this process may try programs."""
        return may_load(effective_capabilities())

    # what exists

    def has_function(self, name: str) -> bool:
        """Whether there is a function to hang on: the kernel's types know it, or it is listed as a symbol."""
        if self.__dict__.get("symbols"):
            return name in self.symbols
        return self.btf.has_function(name) or name in self.symbols

    def copies(self, name: str) -> int:
        """How many functions have this name."""
        return self.symbols.get(name, ("", 0))[1]

    def module_of(self, name: str) -> str:
        """The module that holds a function, empty for the kernel itself."""
        return "" if self.btf.has_function(name) else self.symbols.get(name, ("", 0))[0]

    def types_of(self, name: str) -> Btf:
        """The types that know a function: those of its module, or the kernel's."""
        return self.module_types(self.module_of(name)) or self.btf

    def module_types(self, module: str) -> Btf | None:
        """Types of a loaded module, None where there are none."""
        if module and module not in self._modules:
            try:
                self._modules[module] = Btf.of_file(_MODULE_TYPES / module, self.btf)
            except KernelUnsupported:
                self._modules[module] = None
        return self._modules.get(module)

    def prototype(self, name: str) -> Prototype | None:
        """What a function takes, None where BTF does not know it."""
        return self._once(("function", name), lambda: _prototype(self.types_of(name), name, KIND_FUNC))

    def lsm_prototype(self, hook: str) -> Prototype | None:
        """What an LSM hook takes, None where there is no such hook."""
        return self._once(("lsm", hook), lambda: _prototype(self.btf, _LSM + hook, KIND_FUNC))

    def tracepoint_prototype(self, name: str) -> Prototype | None:
        """What a raw tracepoint passes on, None where there is none of that name."""
        return self._once(
            ("tracepoint", name), lambda: _prototype(self.btf, _TRACEPOINT + name, KIND_TYPEDEF)
        )

    def syscall_parameters(self, name: str) -> tuple[Parameter, ...] | None:
        """Of a system call (`openat`), as its tracepoint declares them. None where that cannot be read."""
        fields = self.fields("syscalls", f"sys_enter_{name}")
        if fields is None:
            return None
        own = [field for field in fields if not field.name.startswith(("common_", "__syscall_nr"))]
        return tuple(Parameter(field.name, declared(self.btf, field.type)) for field in own)

    def fields(self, subsystem: str, event: str) -> tuple[Field, ...] | None:
        """The record of a tracepoint, None where it does not exist or tracefs cannot be read."""
        path = f"events/{subsystem}/{event}/format"
        text = self._once(("format", path), lambda: self._file("tracefs", path))
        return parse_format(text) if text else None

    @cached_property
    def events(self) -> tuple[str, ...]:
        """All tracepoints as `subsystem/event`; empty where tracefs cannot be read."""
        text = self._file("tracefs", "available_events") or ""
        return tuple(line.replace(":", "/") for line in text.split())

    def lsm_hooks(self) -> Iterable[str]:
        """Names of LSM hooks, as far as symbols tell them."""
        return (name.removeprefix(_LSM) for name in self.symbols if name.startswith(_LSM))

    # what can be done

    def offers(self, kind: str) -> Answer:
        """Whether this kind of attachment (HookKey.attach), or a helper of probes.HELPERS, works here."""
        if kind in self.known:
            return self.known[kind]
        if kind in HELPERS:
            return self._once((kind,), lambda: attempts.helper(kind, self.btf, may_load=self.may_load))
        return self._once(
            (kind,), lambda: attempts.offers(kind, self.btf, lsm_runs=self.lsm_runs, may_load=self.may_load)
        )

    def takes(self, kind: str, target: str, *, attach: bool = False) -> Answer:
        """Whether the kernel accepts a program of a kind that goes by BTF for this very target."""
        general = self.offers(kind)
        if not general.there or kind in self.known or kind not in attempts.BY_BTF or self.module_of(target):
            return general
        return self._once(
            (kind, target, attach), lambda: attempts.takes(kind, target, self.btf, attach=attach)
        )

    def can_pin(self, kind: str) -> bool:
        """Whether a link of this kind can outlive its process. Those of perf events can since Linux kernel
        commit b89fbfbb854c "bpf: Implement minimal BPF perf link" (in v5.15); asked by the link's type."""
        if kind not in ("kprobe", "kretprobe", "tracepoint"):
            return True
        perf = ("bpf_link_type", "BPF_LINK_TYPE_PERF_EVENT")
        return self._once(("pin",), lambda: self.btf.enum_value(*perf) is not None)

    @cached_property
    def lsm_runs(self) -> bool:
        """Whether BPF LSM programs are called: `bpf` is among the active security modules."""
        return "bpf" in (active_security_modules(read_mounts()) or ())

    @property
    def preempts(self) -> bool:
        """Whether the kernel skips some kinds of programs for one task while another was preempted inside."""
        if self.known:
            return "preempts" in self.known
        return self._once(("preempts",), lambda: preempts_programs(self.btf))

    @property
    def guards(self) -> bool:
        """Whether programs there can keep the CPU while they judge: kfunc bpf_preempt_disable, Linux kernel
        commit fc7566ad0a82 "bpf: Introduce bpf_preempt_[disable,enable] kfuncs" (in v6.10)."""
        return self.preempts and (bool(self.known) or self.btf.has_function("bpf_preempt_disable"))

    def forbids_kprobe(self, function: str) -> bool:
        """Whether the kernel lists it as a function without kprobes. No where that cannot be read."""
        text = self._once(("blacklist",), lambda: self._file("debugfs", "kprobes/blacklist") or "")
        return f"\t{function}\n" in text

    def allows_error_injection(self, function: str) -> bool | None:
        """Whether ALLOW_ERROR_INJECTION marks it (bpf_override_return); None where that cannot be read."""
        text = self._once(("injection",), lambda: self._file("debugfs", "error_injection/list"))
        return None if text is None else f"\n{function}\t" in f"\n{text}"

    def _file(self, kind: str, path: str) -> str | None:
        return read_kernel_file(kind, path, read_mounts())

    def _once(self, key: tuple[object, ...], ask: Callable[[], _T]) -> _T:
        if key not in self._kept:
            self._kept[key] = ask()
        return self._kept[key]  # type: ignore[return-value]  # kept under a key of its own kind


def _prototype(btf: Btf, name: str, kind: int) -> Prototype | None:
    type_id = btf.find(name, kind)
    if not type_id:
        return None
    if kind == KIND_FUNC:
        return describe_function(btf, btf.inner(type_id))
    # typedef void (*btf_trace_NAME)(void *, ...): the first is the probe's own data
    return describe_function(btf, btf.inner(btf.inner(type_id)), skip=1)
