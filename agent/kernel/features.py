# SPDX-License-Identifier: Apache-2.0
"""All that this kernel and host offer, asked once: the facts behind `tracehound doctor` and every refusal."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.errors import KernelUnsupported
from agent.kernel.btf import Btf
from agent.kernel.host import Host, may_load, read_host
from agent.kernel.probes import (
    Answer,
    guess_helpers,
    guess_programs,
    needs_memlock,
    probe_helpers,
    probe_programs,
)


@dataclass(frozen=True, slots=True)
class Features:
    """What was found."""

    host: Host
    btf: Answer
    """The kernel's own types; without them nothing else of this is known."""
    tried: bool
    """Whether programs were really loaded; else only what BTF tells is known."""
    programs: dict[str, Answer] = field(default_factory=dict)
    """By kind of program, as in `tiny.TYPES`."""
    helpers: dict[str, Answer] = field(default_factory=dict)
    """By helper, kernel function or other thing that programs use."""
    counts_memlock: bool | None = None
    """Whether maps count against RLIMIT_MEMLOCK."""

    def answer(self, name: str) -> Answer:
        """By name of a program kind or helper, `btf`, `cgroups`, `kernel memory`, `host pids`, or of a file
        system (`bpf`, `tracefs`), which is asked whether it is mounted."""
        host = self.host
        if name == "cgroups":
            return Answer(host.cgroups != "none", "" if host.cgroups != "none" else "none is mounted")
        if name == "kernel memory":
            locked = host.lockdown == "confidentiality"
            return Answer(not locked, "lockdown is `confidentiality`" if locked else "")
        if name == "host pids":
            return Answer(host.host_pids, "" if host.host_pids else "this is another pid namespace")
        if name == "btf":
            return self.btf
        if name in host.mounts:
            there = bool(host.mounts[name])
            return Answer(there, "" if there else "not mounted")
        found = self.programs.get(name) or self.helpers.get(name)
        return found or Answer(None if self.btf.there else False, "not asked: this kernel has no BTF")


def read_features() -> Features:
    """Reads and, with the capabilities for it, tries everything. Raises KernelUnsupported without libbpf."""
    host = read_host()
    tried = may_load(host.capabilities)
    try:
        btf = Btf.of_kernel()
    except KernelUnsupported as error:
        if "libbpf" in error.message:
            raise
        return Features(host, Answer(False, error.message), tried)
    with btf:
        return Features(
            host=host,
            btf=Answer(True),
            tried=tried,
            programs=probe_programs(btf, host.security_modules) if tried else guess_programs(btf),
            helpers=probe_helpers(btf) if tried else guess_helpers(btf),
            counts_memlock=needs_memlock(btf),
        )
