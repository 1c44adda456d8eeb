# SPDX-License-Identifier: Apache-2.0
"""Hooks on system calls: the kernel's entry functions of the 64-bit and 32-bit ABI, or where those cannot be
hooked, the raw tracepoints of all system calls by number."""

from __future__ import annotations

from typing import NamedTuple

from agent.kernel.view import KernelView
from agent.policy.drafts import RETURNS, Draft, uses_of
from agent.policy.functions import LONG, choose_kind, enforcing_kinds, watching_kinds
from agent.policy.overrides import wants_override
from agent.policy.reading import Offer
from agent.policy.report import Wrong
from agent.policy.syscalls import compat, entry, native, number, parse_system_call, suggest
from agent.policy.values import HookKey, HookUse

ARGUMENTS = 6
"""Of a system call: syscall(2)."""


class Abi(NamedTuple):
    """How a machine's entry functions are called (Linux arch/*/include/asm/syscall_wrapper.h)."""

    native: str
    compat: tuple[str, ...]
    """The first that exists is called by the 32-bit table."""


ABIS = {
    "x86_64": Abi("__x64_sys_", ("__ia32_compat_sys_", "__ia32_sys_")),
    "aarch64": Abi("__arm64_sys_", ("__arm64_compat_sys_",)),
}
_VARIANTS = ("16", "32", "_time32", "64")
"""Ends of 32-bit calls that do the same with other widths: setuid16, clock_settime32, truncate64."""
_MULTIPLEXED = {
    "socketcall": "socket bind connect listen accept accept4 getsockname getpeername socketpair send recv "
    "sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg sendmmsg recvmmsg",
    "ipc": "semget semctl semop semtimedop msgget msgctl msgsnd msgrcv shmget shmctl shmat shmdt",
}
"""32-bit calls that stand for several: socketcall(2), ipc(2)."""


class Entered(NamedTuple):
    """One way into the kernel for a call."""

    function: str
    number: int | None
    is_compat: bool


def plan_system_call(draft: Draft) -> list[HookUse]:
    """One hook for each ABI that this kernel has."""
    try:
        call = parse_system_call(draft.hook.target)
    except Wrong as wrong:
        draft.not_found(wrong.text, wrong.hint)
        return []
    name = entry(call.name, native(draft.view.machine)).removeprefix("sys_")
    abi = draft.hook.abi or call.abi
    ways = _native(name, draft.view) if abi != "32" else []
    if not ways and abi != "32":
        draft.not_found(f"this kernel has no system call sys_{name}", suggest(f"sys_{name}"))
        return []
    if abi != "64":
        ways += _compat(draft, name, is_asked=abi == "32")
    uses: list[HookUse] = []
    for way in ways:
        if not (way.is_compat and uses and _is_same_function(draft, name, uses[0])):
            uses += _uses(draft, way, name)
    return uses


def _is_same_function(draft: Draft, name: str, use: HookUse) -> bool:
    """Whether the 32-bit ABI enters by the very function that is hooked already. Calls without arguments have
    one with several names: SYSCALL_DEFINE0, Linux arch/x86/include/asm/syscall_wrapper.h."""
    by_function = use.key.attach not in ("sys_enter", "sys_exit")
    return by_function and draft.view.machine == "x86_64" and draft.view.syscall_parameters(name) == ()


def _native(name: str, view: KernelView) -> list[Entered]:
    abi = ABIS.get(view.machine)
    function = f"{abi.native}{name}" if abi else f"sys_{name}"
    return (
        [Entered(function, number(name, native(view.machine)), False)] if view.has_function(function) else []
    )


def _compat(draft: Draft, name: str, *, is_asked: bool) -> list[Entered]:
    """32-bit ways into the kernel; what they miss becomes a note."""
    view = draft.view
    variants = [f"{name}{end}" for end in _VARIANTS]
    found = [way for each in (name, *variants) if (way := _compat_one(each, view, _has_types(name, view)))]
    if is_asked and not found:
        draft.not_found(f"this kernel has no 32-bit system call sys_{name}")
    for through, calls in _MULTIPLEXED.items():
        if found and name in calls.split():
            draft.notes.append(f"32-bit programs that call {name} by {through}(2) are not covered")
    return found


def _has_types(name: str, view: KernelView) -> bool:
    """Whether the kernel's types know the call's functions. They do for all calls that take arguments; then
    what they do not know need not be looked for among the symbols, which take 40 ms to read."""
    abi = ABIS.get(view.machine)
    return abi is not None and view.btf.has_function(f"{abi.native}{name}")


def _compat_one(name: str, view: KernelView, has_types: bool) -> Entered | None:
    abi, table = ABIS.get(view.machine), compat(view.machine)
    functions = [f"{prefix}{name}" for prefix in abi.compat] if abi else []
    known = view.btf.has_function if has_types else view.has_function
    there = next((function for function in functions if known(function)), "")
    return Entered(there, _compat_number(name, table), True) if there else None


def _compat_number(name: str, table: str) -> int | None:
    """By the 32-bit ABI's own name: sys_setuid is entered by `setuid32`, sys_setuid16 by `setuid`."""
    if not table:
        return None
    if name.endswith("16"):
        return number(name.removesuffix("16"), table)
    if name.endswith(("_time32", "32")):
        return number(name.removesuffix("32").removesuffix("_time"), table)
    return next((found for end in ("32", "64", "") if (found := number(name + end, table)) is not None), None)


def _uses(draft: Draft, way: Entered, name: str) -> list[HookUse]:
    kinds = _kinds(draft, way, name)
    before = len(draft.notes)
    kind = choose_kind(draft, way.function, kinds)
    if not kind:
        return []
    if kind == "sys_enter" and way.number is None:
        del draft.notes[before:]
        draft.notes.append(f"{way.function} is not covered: its number is not known")
        return []
    if kind == "sys_enter":
        prefix = "32/" if way.is_compat else ""
        key = HookKey("sys_enter", f"{prefix}{way.number}")
    else:
        key = HookKey(kind, way.function)
    end = HookKey(RETURNS[kind], key.target) if draft.hook.returns else None
    return uses_of(draft, key, _offer(draft, way, name, kind), way.function, end)


def _kinds(draft: Draft, way: Entered, name: str) -> tuple[str, ...]:
    denies = wants_override(draft.hook)
    kinds = (
        enforcing_kinds(draft, way.function, f"sys_{name}") if denies and not _is_told(draft, name) else ()
    )
    if draft.hook.kind == "fentry":
        return ("fentry",)
    kinds = kinds or (*watching_kinds(draft, way.function), "sys_enter")
    return ("kprobe",) if draft.needs_registers else kinds


def _is_told(draft: Draft, name: str) -> bool:
    """Whether it was already said that this call cannot be overridden (for another ABI)."""
    return any(problem.text.startswith(f"Override of sys_{name} ") for problem in draft.report.problems())


def _offer(draft: Draft, way: Entered, name: str, kind: str) -> Offer:
    return Offer(
        name=f"sys_{name}",
        btf=draft.view.btf,
        parameters=draft.view.syscall_parameters(name),
        result=LONG,
        most=ARGUMENTS,
        is_syscall=True,
        is_compat=way.is_compat,
        has_registers=kind == "kprobe",
        # fexit: behind the one parameter, struct pt_regs *; sys_exit: behind the registers
        result_index=1,
    )
