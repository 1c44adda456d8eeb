# SPDX-License-Identifier: Apache-2.0
"""A TracingPolicy as its author meant it: names and operators normalised, lists and macros expanded, every
part with the line it came from. Made by agent.policy.parse, read by plan and compile.

Semantics: Tetragon's TracingPolicy (cilium.io/v1alpha1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from dataclasses import field as _field
from typing import NamedTuple


class Where(NamedTuple):
    """A place in a policy's text."""

    source: str
    """File name, or how the text came (`<api>`)."""
    line: int
    """From 1; 0 where the text has no such line."""
    path: str
    """Path in the document, as in `spec.kprobes[0].selectors[1].matchArgs[0].operator`."""


class Problem(NamedTuple):
    """Something that is wrong, or that should be known."""

    where: Where
    text: str
    """What is wrong, with the offending text."""
    hint: str = ""
    """The way out: the nearest name, the allowed values, what to write instead."""
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class Argument:
    """One value that a hook reads."""

    index: int
    """Argument of the function, from 0; tracepoints: number of the field."""
    type: str
    """Normalised type of the CRD: `string`, `file`, `int32`, `auto` ... (synonyms are folded by parse)."""
    label: str = ""
    resolve: str = ""
    """Path into the argument's struct, as written: `mm.owner.pid`."""
    size_index: int | None = None
    """Argument (from 0) that holds a buffer's length. The CRD counts from 1."""
    return_copy: bool = False
    """Read when the function returns."""
    max_data: bool = False
    """Buffers: as much as 327,360 bytes."""
    source: str = ""
    """`data` only: `current_task` or `pt_regs`; empty: the argument."""
    btf_type: str = ""
    btf_module: str = ""
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class ArgumentFilter:
    """One entry of matchArgs, matchData or matchReturnArgs. Its values are alternatives; a Not operator asks
    that none holds."""

    argument: int
    """Position in Hook.arguments (matchArgs), Hook.data (matchData) or 0 for the return value."""
    operator: str
    """Canonical: Equal, NotEqual, Prefix, NotPrefix, Postfix, NotPostfix, GT, LT, Mask, SPort, NotSPort,
    SPortPriv, NotSPortPriv, DPort, NotDPort, DPortPriv, NotDPortPriv, SAddr, NotSAddr, DAddr, NotDAddr,
    Protocol, Family, State, InMap, NotInMap, CapabilitiesGained, InRange, NotInRange, SubString,
    SubStringIgnCase, Regex, NotRegex, FileType, NotFileType."""
    values: tuple[str, ...]
    """As written, lists expanded (`list:x` is gone)."""
    other: int | None = None
    """CapabilitiesGained: the second argument's position."""
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class PidFilter:
    """One entry of matchPIDs."""

    is_in: bool
    values: tuple[int, ...]
    follow_forks: bool = False
    in_namespace: bool = False
    """Values are pids of the process's own pid namespace."""
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class BinaryFilter:
    """matchBinaries or matchParentBinaries."""

    operator: str
    """In, NotIn, Prefix, NotPrefix, Postfix, NotPostfix."""
    values: tuple[str, ...]
    follow_children: bool = False
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class NamespaceFilter:
    """One entry of matchNamespaces (with values) or matchNamespaceChanges (without)."""

    namespaces: tuple[str, ...]
    """Lower-case slots of `enum namespace_slot`: uts ipc mnt pid pid_for_children net time time_for_children
    cgroup user. matchNamespaces has exactly one."""
    is_in: bool
    values: tuple[str, ...] = ()
    """Inode numbers, or `host_ns`."""
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class CapabilityFilter:
    """One entry of matchCapabilities or matchCapabilityChanges."""

    kind: str
    """effective, permitted, inheritable."""
    is_in: bool
    mask: int
    in_namespace: bool = False
    """isNamespaceCapability: capabilities in the process's own user namespace count; else only those of
    processes in the host's user namespace."""
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class CredentialFilter:
    """One entry of matchCurrentCred: an id of the current credentials in ranges."""

    field: str
    """uid, euid, suid, fsuid, gid, egid, sgid, fsgid."""
    is_in: bool
    ranges: tuple[tuple[int, int], ...]
    """Inclusive."""
    where: Where = _field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A Kubernetes label selector."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    """(key, In | NotIn | Exists | DoesNotExist, values)"""


@dataclass(frozen=True, slots=True)
class Workload:
    """Which containers and hosts: podSelector, containerSelector, hostSelector, namespace of a namespaced
    policy."""

    pod: LabelSelector | None = None
    container: LabelSelector | None = None
    host: bool | None = None
    """True: host processes (`hostSelector: {}`); None: not said."""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """One entry of matchActions or matchReturnActions."""

    name: str
    """Post, NoPost, Sigkill, Signal, Override, NotifyEnforcer, CleanupEnforcerNotification, TrackSock,
    UntrackSock."""
    error: int = 0
    """argError, as a negative errno."""
    signal: int = 0
    sock: int | None = None
    """argSock: position of the argument."""
    rate_ns: int = 0
    """rateLimit in nanoseconds, 0: none."""
    rate_scope: str = "thread"
    """thread, process, global."""
    kernel_stack: bool = False
    user_stack: bool = False
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class Selector:
    """All filters of a selector hold together (AND). The first selector of a hook that matches acts."""

    label: str = ""
    arguments: tuple[ArgumentFilter, ...] = ()
    data: tuple[ArgumentFilter, ...] = ()
    return_arguments: tuple[ArgumentFilter, ...] = ()
    pids: tuple[PidFilter, ...] = ()
    binaries: tuple[BinaryFilter, ...] = ()
    parent_binaries: tuple[BinaryFilter, ...] = ()
    namespaces: tuple[NamespaceFilter, ...] = ()
    namespace_changes: tuple[NamespaceFilter, ...] = ()
    capabilities: tuple[CapabilityFilter, ...] = ()
    capability_changes: tuple[CapabilityFilter, ...] = ()
    credentials: tuple[CredentialFilter, ...] = ()
    workload: Workload | None = None
    actions: tuple[Action, ...] = ()
    """Empty: Post."""
    return_actions: tuple[Action, ...] = ()
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook of a policy. `list:` calls are expanded: one Hook for each function."""

    kind: str
    """kprobe, fentry, lsm, tracepoint, raw_tracepoint, uprobe, usdt; made by plan: enforcer."""
    target: str
    """Function (`tcp_connect`, a system call as `sys_openat`), LSM hook (`file_open`), or
    `subsystem/event`."""
    is_syscall: bool = False
    abi: str = ""
    """System calls: empty for all that this kernel has, `64`, `32` (`i386/sys_dup`)."""
    arguments: tuple[Argument, ...] = ()
    data: tuple[Argument, ...] = ()
    returns: bool = False
    """The event comes when the function returns, with its return value."""
    return_argument: Argument | None = None
    return_action: str = ""
    """returnArgAction: TrackSock, UntrackSock."""
    selectors: tuple[Selector, ...] = ()
    """Empty: everything matches and is posted."""
    message: str = ""
    tags: tuple[str, ...] = ()
    ignore_not_found: bool = False
    is_generated: bool = False
    """Of a list that this kernel's names made: what takes no program here is passed over."""
    where: Where = field(default=Where("", 0, ""), compare=False)


@dataclass(frozen=True, slots=True)
class Options:
    """spec.options."""

    mode: str = ""
    """enforce, monitor; empty: not said."""
    override_method: str = ""
    """fmod-ret, override-return."""
    disable_kprobe_multi: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """One TracingPolicy or TracingPolicyNamespaced."""

    name: str
    namespace: str = ""
    """Of a TracingPolicyNamespaced."""
    hooks: tuple[Hook, ...] = ()
    workload: Workload | None = None
    """Of the whole policy; a selector's own comes on top."""
    node: LabelSelector | None = None
    enforcer_calls: tuple[str, ...] = ()
    options: Options = Options()
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    text: str = field(default="", compare=False, repr=False)
    """The YAML document."""
    where: Where = field(default=Where("", 0, ""), compare=False)

    @property
    def key(self) -> str:
        """Identity: `namespace/name`, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
