# SPDX-License-Identifier: Apache-2.0
"""The hooks of a policy: kprobes, fentries, lsmhooks, tracepoints. uprobes and usdts are checked, then
refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.configuration.values import shorten
from agent.policy import bounds
from agent.policy.inputs import read_arguments, read_data, read_return
from agent.policy.lists import Call, Lists
from agent.policy.model import Argument, Hook
from agent.policy.report import Report
from agent.policy.scope import Scope
from agent.policy.selectors import read_selectors
from agent.policy.shape import Leaf, Part
from agent.policy.typenames import SOCKETS


class Surroundings(NamedTuple):
    """What the hooks of a policy share."""

    lists: Lists
    macros: Mapping[str, Part]
    has_enforcer: bool
    report: Report


def read_hooks(spec: Part, around: Surroundings) -> tuple[Hook, ...]:
    """All hooks of `spec`, lists expanded."""
    found = [hook for part in spec.parts("kprobes") for hook in _functions(part, "kprobe", around)]
    found += [hook for part in spec.parts("fentries") for hook in _functions(part, "fentry", around)]
    found += [_lsm(part, around) for part in spec.parts("lsmhooks") if not part.broken]
    found += [_tracepoint(part, around) for part in spec.parts("tracepoints") if not part.broken]
    for part in spec.parts("uprobes"):
        _refuse_uprobe(part, around)
    for part in spec.parts("usdts"):
        _refuse(part, "usdt", f"{part.text('provider')}:{part.text('name')}", around)
    if len(found) > bounds.HOOKS:
        text = f"the policy has {len(found)} hooks, its lists expanded"
        around.report.error(spec.where, text, f"at most {bounds.HOOKS}; narrow the lists' patterns")
    return tuple(found)


def _functions(part: Part, kind: str, around: Surroundings) -> list[Hook]:
    """A kprobe or fentry: one hook, or one for each call of its list."""
    if part.broken & {"call", "syscall"}:
        return []
    calls = _calls(part, around)
    is_syscall = any(call.is_syscall for call in calls)
    made = _hook(part, kind, part.text("call"), is_syscall, around)
    _check_override(made, calls, around)
    return [
        Hook(
            kind=kind,
            target=call.name,
            is_syscall=call.is_syscall,
            abi=call.abi,
            arguments=made.arguments,
            data=made.data,
            returns=made.returns,
            return_argument=made.return_argument,
            return_action=made.return_action,
            selectors=made.selectors,
            message=made.message,
            tags=made.tags,
            ignore_not_found=made.ignore_not_found,
            is_generated=call.is_generated,
            where=made.where,
        )
        for call in calls
    ]


def _calls(part: Part, around: Surroundings) -> list[Call]:
    text, where = part.text("call"), part.at("call")
    if text.startswith("list:"):
        return around.lists.calls(text, where)
    if part.flag("syscall", True):
        call = around.lists.system_call(Leaf(text, where), is_quiet=_ignores(part))
        return [] if call is None else [call]
    if "/" in text:
        hint = "write syscall: true, or the name of a function alone"
        around.report.error(where, f"{shorten(text)} names an ABI, which functions have not", hint)
    return [Call(text, False)]


def _lsm(part: Part, around: Surroundings) -> Hook:
    name = part.text("hook")
    for prefix in ("bpf_lsm_", "security_"):
        if name.startswith(prefix):
            hint = f"write {name.removeprefix(prefix)}"
            around.report.error(part.at("hook"), f"{shorten(name)} is no LSM hook", hint)
    return _hook(part, "lsm", name, False, around)


def _tracepoint(part: Part, around: Surroundings) -> Hook:
    kind = "raw_tracepoint" if part.flag("raw") else "tracepoint"
    return _hook(part, kind, f"{part.text('subsystem')}/{part.text('event')}", False, around)


def _refuse_uprobe(part: Part, around: Surroundings) -> None:
    places = [name for name in ("symbols", "offsets", "addrs") if part.leaves(name)]
    if len(places) != 1 and not part.broken & {"symbols", "offsets", "addrs"}:
        text = f"gives {' and '.join(places)}" if places else "gives no place in the program"
        around.report.error(part.where, text, "write one of symbols, offsets and addrs")
    counters, places_given = part.leaves("refCtrOffsets"), part.leaves(places[0]) if places else []
    if counters and len(counters) != len(places_given):
        text = f"refCtrOffsets has {len(counters)} elements for {len(places_given)} places"
        around.report.error(part.at("refCtrOffsets"), text, "write one for each")
    _refuse(part, "uprobe", part.text("path"), around)


def _refuse(part: Part, kind: str, target: str, around: Surroundings) -> None:
    """Checks all of it, then says that it does not run."""
    _hook(part, kind, target, False, around)
    text = f"{kind}s are not supported yet: probes in programs come in a later version"
    around.report.error(part.where, text, "remove it, or hook what the program asks of the kernel")


def _hook(part: Part, kind: str, target: str, is_syscall: bool, around: Surroundings) -> Hook:
    arguments = read_arguments(part, kind, is_syscall, around.report)
    data, returned = read_data(part, around.report), read_return(part, around.report)
    scope = Scope(
        kind=kind,
        target=target,
        is_syscall=is_syscall,
        arguments=arguments,
        data=data,
        returned=returned,
        returns=part.flag("return"),
        lists=around.lists,
        report=around.report,
        has_enforcer=around.has_enforcer,
    )
    _check_return_action(part, returned, around.report)
    return Hook(
        kind=kind,
        target=target,
        is_syscall=is_syscall,
        arguments=arguments,
        data=data,
        returns=returned is not None,
        return_argument=returned,
        return_action=part.text("returnArgAction"),
        selectors=read_selectors(part, around.macros, scope),
        message=part.text("message"),
        tags=tuple(leaf.value for leaf in part.leaves("tags")),
        ignore_not_found=_ignores(part),
        where=part.where,
    )


def _check_return_action(part: Part, returned: Argument | None, report: Report) -> None:
    if not part.has("returnArgAction"):
        return
    action, where = part.text("returnArgAction"), part.at("returnArgAction")
    if returned is None and "returnArg" not in part.broken:
        report.error(where, f"{action} needs the return value", "write return: true and returnArg")
    elif returned is not None and returned.type not in (*SOCKETS, "auto"):
        report.error(where, f"{action} needs a socket, returnArg is {returned.type}", "write type: sock")


def _check_override(hook: Hook, calls: list[Call], around: Surroundings) -> None:
    """Only system calls and `security_` functions may be overridden: fmod_ret and bpf_override_return take no
    others (Linux kernel/bpf/verifier.c, check_attach_modify_return)."""
    others = [c.name for c in calls if not c.is_syscall and not c.name.startswith("security_")]
    actions = [a for s in hook.selectors for a in s.actions if a.name == "Override"]
    for action in actions if others else ():
        hint = "override the security_ function that it calls, or use lsmhooks"
        around.report.error(action.where, f"{shorten(others[0])} cannot be overridden", hint)


def _ignores(part: Part) -> bool:
    ignore = part.part("ignore")
    return ignore is not None and ignore.flag("callNotFound")
