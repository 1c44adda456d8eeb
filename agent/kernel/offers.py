# SPDX-License-Identifier: Apache-2.0
"""From what a kernel offers to what the product can do there: a table, and a pure function over it."""

from __future__ import annotations

from typing import NamedTuple

from agent.kernel.features import Features


class Way(NamedTuple):
    """One way to have a feature: everything named is needed."""

    needs: tuple[str, ...]
    """Names that `Features.answer` knows."""
    costs: str
    """What this way costs, or what it lacks against the first one; empty when there is nothing to say."""


class Feature(NamedTuple):
    """Something that a user wants."""

    name: str
    ways: tuple[Way, ...]
    """Best first."""
    without: str
    """What is missing when there is no way."""
    remedy: str
    """How to get it."""


class Offer(NamedTuple):
    """What becomes of a feature here."""

    feature: Feature
    state: str
    """`yes`, `partly` (another way than the best), `no`, or `unknown` (not tried)."""
    way: Way | None
    missing: tuple[str, ...]
    """What the best way lacks, with the reasons."""


_TP, _FENTRY, _KPROBE = "2.6 ns a call", "5.2 ns a call", "16 ns a call"
"""Measured for an empty program on x86 (docs/performance.md)."""
_CONFIG_BTF = "boot a kernel with CONFIG_DEBUG_INFO_BTF=y"
_CONFIG_KPROBES = "boot a kernel with CONFIG_KPROBES=y, where nothing refuses fentry and LSM programs"

FEATURES = (
    Feature(
        "process events",
        (
            Way(("btf", "kernel memory", "ring buffer", "tp_btf"), _TP),
            Way(
                ("btf", "kernel memory", "ring buffer", "raw_tp"),
                "dearer reads by helpers; process map preallocated on old kernels",
            ),
        ),
        "the base sensor cannot run",
        f"{_CONFIG_BTF} and CONFIG_BPF_EVENTS=y (5.10 or newer), without lockdown=confidentiality",
    ),
    Feature(
        "privilege changes at exec",
        (
            Way(("tp_btf", "sched_prepare_exec"), _TP),
            Way(("fentry",), _FENTRY),
            Way(("lsm",), _FENTRY),
            Way(("kprobe",), _KPROBE),
        ),
        "setuid, setgid and file capabilities that took effect are not marked on exec events",
        f"{_CONFIG_KPROBES}, or one with the tracepoint sched_prepare_exec (6.10 or newer)",
    ),
    Feature(
        "paths by types",
        (Way(("tp_btf", "bpf_rdonly_cast"), "a path costs about 470 instructions"),),
        "paths are read by helpers: complete as well, at about four times the cost",
        "a kernel from 6.2 on",
    ),
    Feature(
        "containers",
        (Way(("cgroups",), ""),),
        "events carry no container",
        "mount the cgroup hierarchy, or give the agent's container the host's /sys/fs/cgroup",
    ),
    Feature(
        "pids of the host",
        (Way(("host pids",), ""),),
        "events carry the host's pids, /proc shows others: details of older processes are missing",
        "run the agent's container with hostPID: true (docker run --pid=host)",
    ),
    Feature(
        "processes from before the start",
        (Way(("iter",), "once, at start"),),
        "they are unknown until their next exec, and so are the ancestors of what they start",
        _CONFIG_BTF,
    ),
    Feature(
        "policies on kernel functions",
        (
            Way(("fentry", "fexit"), _FENTRY),
            Way(("kprobe", "pinnable kprobe links"), _KPROBE),
            Way(("kprobe",), f"{_KPROBE}; cannot be pinned: ends with the agent"),
        ),
        "such policies are refused with the reason",
        _CONFIG_KPROBES,
    ),
    Feature(
        "policies on many functions at once",
        (Way(("kprobe.multi",), "one link for all"),),
        "one link per function: slower to load and unload",
        "boot a kernel with CONFIG_FPROBE=y",
    ),
    Feature(
        "policies on system calls",
        (Way(("raw_tp",), f"{_TP}, filtered by number and ABI"),),
        "such policies are refused",
        "boot a kernel with CONFIG_HAVE_SYSCALL_TRACEPOINTS=y",
    ),
    Feature(
        "policies on tracepoints",
        (
            Way(("tracepoint", "tracefs"), "10 ns a call"),
            Way(("tracepoint",), "formats are read from a tracefs that is mounted for the moment"),
            Way(("raw_tp",), "raw arguments only"),
        ),
        "such policies are refused",
        "`mount -t tracefs tracefs /sys/kernel/tracing`",
    ),
    Feature(
        "policies on LSM hooks",
        (Way(("lsm",), _FENTRY),),
        "such policies are refused",
        "boot with `bpf` in lsm= (CONFIG_BPF_LSM=y), where nothing refuses LSM programs",
    ),
    Feature(
        "enforcement: override",
        (
            Way(("kprobe", "bpf_override_return"), "any function that allows error injection"),
            Way(("fmod_ret",), "security_* functions and system calls"),
            Way(("lsm",), "LSM hooks only"),
        ),
        "policies with Override are refused; Signal remains where it is offered",
        "boot a kernel with CONFIG_BPF_KPROBE_OVERRIDE=y, or one that takes fmod_ret or LSM programs",
    ),
    Feature(
        "enforcement: signal",
        (Way(("bpf_send_signal",), ""),),
        "policies with Sigkill or Signal are refused",
        "a kernel from 5.3 on",
    ),
    Feature(
        "long filters",
        (Way(("bpf_loop",), ""),),
        "loops are unrolled: shorter strings and fewer values are compared",
        "a kernel from 5.17 on",
    ),
    Feature(
        "state per task",
        (Way(("bpf_task_storage_get",), ""),),
        "kept in hash maps by tgid: a lookup instead of a pointer",
        "a kernel from 5.11 on",
    ),
    Feature(
        "state over a restart",
        (Way(("bpf",), "with kernel.pin_dir below the mount"),),
        "what processes inherited is read anew at each start",
        "`mount -t bpf bpf /sys/fs/bpf`",
    ),
)
"""In the order in which they are shown. Versions are advice for people; what is tested is existence."""


def offers(found: Features) -> list[Offer]:
    """What this kernel's features give."""
    return [_offer(feature, found) for feature in FEATURES]


def _offer(feature: Feature, found: Features) -> Offer:
    missing = _missing(feature.ways[0], found)
    unknown = False
    for index, way in enumerate(feature.ways):
        answers = [found.answer(name).there for name in way.needs]
        if all(answers):
            return Offer(feature, "partly" if index or unknown else "yes", way, missing)
        unknown = unknown or False not in answers
    return Offer(feature, "unknown" if unknown else "no", None, missing)


def _missing(way: Way, found: Features) -> tuple[str, ...]:
    answers = [(name, found.answer(name)) for name in way.needs]
    return tuple(f"{name} ({answer.reason})" for name, answer in answers if not answer.there)
