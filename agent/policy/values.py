# SPDX-License-Identifier: Apache-2.0
"""What plan says to compile and to the loader: values, uses of hooks, and how hooks are attached here.
Numbers are those of kprobes/include/policy.h; a test compares them with the object's BTF."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import NamedTuple

from agent.policy.model import Hook, Problem


class Source(IntEnum):
    """enum value_source."""

    NONE = 0
    ARGUMENT = 1
    RETURN = 2
    TASK = 3
    FIELD = 4
    REGISTER = 5
    RECORD = 6


class ValueType(IntEnum):
    """enum value_type."""

    INTEGER = 1
    STRING = 2
    BUFFER = 3
    IOVEC = 4
    IOV_ITER = 5
    FILE = 6
    PATH = 7
    DENTRY = 8
    FD = 9
    KIOCB = 10
    BINPRM = 11
    SOCK = 12
    SOCKET = 13
    SKB = 14
    SOCKADDR = 15
    SOCKADDR_UN = 16
    CRED = 17
    USER_NS = 18
    CAPABILITY = 19
    CAP_SET = 20
    BPF_ATTR = 21
    BPF_PROG = 22
    BPF_MAP = 23
    PERF_EVENT = 24
    MODULE = 25
    LOAD_INFO = 26
    NET_DEVICE = 27
    SYSCALL = 28
    DATA_LOC = 29
    NOP = 30


class ValueFlag(IntFlag):
    """enum value_flags."""

    USER = 1
    AT_RETURN = 2
    IS_ADDRESS = 4
    SIGNED = 8


class Step(NamedTuple):
    """struct value_step: add, then perhaps follow the pointer."""

    offset: int
    dereference: bool


class Value(NamedTuple):
    """One value that a hook's program reads (struct value_shape). Equal values of several policies are
    one."""

    source: Source
    type: ValueType
    index: int = 0  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a Value
    size: int = 8
    flags: ValueFlag = ValueFlag(0)
    steps: tuple[Step, ...] = ()
    max_bytes: int = 4096
    length_of: Value | None = None
    """Buffers: the value that holds the length."""


class HookKey(NamedTuple):
    """One place in the kernel; all policies there share its program."""

    attach: str
    """fentry, fexit, fmod_ret, lsm, kprobe, kretprobe, tracepoint, tp_btf, raw_tp, sys_enter, sys_exit."""
    target: str
    """Symbol (`__x64_sys_openat`), LSM hook, `subsystem/event`, or for sys_enter and sys_exit the number of
    the system call, `32/` before it for the 32-bit ABI."""


class Shown(NamedTuple):
    """How one value becomes an argument of the policy's event."""

    value: int
    """Position in HookUse.values."""
    type: str
    """The CRD's type, which chooses the field of the event: `int32` int_arg, `file` file_arg ..."""
    label: str = ""
    is_return: bool = False
    is_data: bool = False


@dataclass(frozen=True, slots=True)
class HookUse:
    """What one policy wants of one hook."""

    key: HookKey
    policy: str
    """Policy.key"""
    hook: Hook
    position: int
    """Of the hook in Policy.hooks; -1 for an enforcer's call."""
    values: tuple[Value, ...]
    """Values of hook.arguments in order, then of hook.data, then the return value when there is one."""
    shown: tuple[Shown, ...]
    function_name: str
    """As events tell it: `__x64_sys_openat`, `tcp_connect`, `file_open`."""
    part: str = "whole"
    """What this use does of its hook. `whole`: reads, judges, acts and sends. A call in two parts has two
    uses with the same values: `entry` judges and acts, and keeps raw values and selectors in `calls`
    (HOOK_KEEPS); `return` takes them from there, judges matchReturnArgs and sends (HOOK_JOINS). `enforcer`:
    carries out what NotifyEnforcer left for this task; no selectors, nothing is sent."""
    signals_at_once: bool = False
    """NotifyEnforcer's signal is sent by this hook: calls of its enforcer cannot be overridden here."""
    survives_restart: bool = True
    """Whether this kernel can pin a link of this kind."""
    notes: tuple[str, ...] = ()
    """What a user should know: why not a cheaper way, what is not covered."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A policy on this kernel."""

    policy: str
    uses: tuple[HookUse, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Errors: the policy cannot be loaded here. Others are warnings."""
    missing: tuple[str, ...] = field(default=())
    """Calls that do not exist here and were to be ignored (ignore.callNotFound)."""

    @property
    def is_loadable(self) -> bool:
        """Whether nothing speaks against loading."""
        return not any(problem.is_error for problem in self.problems)
