# SPDX-License-Identifier: Apache-2.0
"""matchActions and matchReturnActions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.configuration.values import shorten
from agent.policy.model import Action
from agent.policy.quantities import parse_duration_ns
from agent.policy.report import Wrong, nearest
from agent.policy.scope import Scope
from agent.policy.shape import Part
from agent.policy.typenames import SOCKETS

FIELDS: Mapping[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        "Post": "rateLimit rateLimitScope kernelStackTrace userStackTrace imaHash",
        "NoPost": "",
        "Sigkill": "",
        "Signal": "argSig",
        "Override": "argError argRegs argNewSymbol argNewAddr argNewOffset",
        "NotifyEnforcer": "argError argSig",
        "CleanupEnforcerNotification": "",
        "TrackSock": "argSock",
        "UntrackSock": "argSock",
        "GetUrl": "argUrl",
        "DnsLookup": "argFqdn",
        "Set": "argIndex argValue",
    }.items()
}
"""By action: the fields that it has."""
_NEEDED = {"Signal": "argSig", "GetUrl": "argUrl", "DnsLookup": "argFqdn"}
_LATER = {
    "GetUrl": "requests from the agent are",
    "DnsLookup": "questions to name servers from the agent are",
    "Set": "writing to a program's arguments is",
}
"""Actions that are not run yet, and what of them."""
_REMOVED = ("FollowFD", "UnfollowFD", "CopyFD")
_ANY = frozenset(FIELDS) - {"Set"}
ALLOWED: Mapping[str, frozenset[str]] = {
    "kprobe": _ANY,
    "fentry": frozenset({"Post", "NoPost", "TrackSock", "UntrackSock", "GetUrl", "DnsLookup"}),
    "lsm": frozenset({"Post", "NoPost", "Sigkill", "Signal", "Override"}),
    "tracepoint": _ANY - {"Override", "TrackSock", "UntrackSock"},
    "raw_tracepoint": _ANY - {"Override", "TrackSock", "UntrackSock"},
    "uprobe": frozenset({"Post", "NoPost", "Sigkill", "Signal", "Override"}),
    "usdt": frozenset({"Post", "NoPost", "Sigkill", "Signal", "Set"}),
}
"""By kind of hook."""
_ELSEWHERE = {
    "fentry": "hooks of fentries only observe: use kprobes",
    "tracepoint": "use kprobes or lsmhooks",
    "raw_tracepoint": "use kprobes or lsmhooks",
}


def read_actions(part: Part, name: str, scope: Scope) -> tuple[Action, ...]:
    """The actions of a selector's field `name`."""
    parts = [each for each in part.parts(name) if not each.broken]
    read = [(each, _action(each, name == "matchReturnActions", scope)) for each in parts]
    _check_together([each for each, action in read if action is not None], scope)
    return tuple(action for _, action in read if action is not None)


def _action(part: Part, is_return: bool, scope: Scope) -> Action | None:
    name = part.text("action")
    if not _is_known(part, name, scope):
        return None
    _check_fields(part, name, scope)
    _check_place(part, name, is_return, scope)
    is_post = name == "Post"
    return Action(
        name,
        error=_error(part, name, scope),
        signal=part.number("argSig") if "argSig" in FIELDS[name] else 0,
        sock=_sock(part, scope) if name in ("TrackSock", "UntrackSock") else None,
        rate_ns=_rate(part, scope) if is_post else 0,
        rate_scope=part.text("rateLimitScope", "thread") if is_post else "thread",
        kernel_stack=is_post and part.flag("kernelStackTrace"),
        user_stack=is_post and part.flag("userStackTrace"),
        where=part.where,
    )


def _is_known(part: Part, name: str, scope: Scope) -> bool:
    where = part.at("action")
    if name in _REMOVED:
        hint = "the argument type fd finds the path by itself: remove this action"
        scope.report.error(where, f"{name} does not exist any more", hint)
    elif name not in FIELDS:
        scope.report.error(where, f"{shorten(name)} is no action", nearest(name, FIELDS))
    elif name not in ALLOWED[scope.kind]:
        hint = _ELSEWHERE.get(scope.kind) or f"here: {', '.join(sorted(ALLOWED[scope.kind]))}"
        scope.report.error(where, f"{name} is not possible in a {scope.kind} hook", hint)
    elif name in _LATER:
        scope.report.error(
            where, f"{name} is not supported yet: {_LATER[name]} for a later version", "use Post"
        )
    else:
        return True
    return False


def _check_fields(part: Part, name: str, scope: Scope) -> None:
    for field in filter(part.says, part.fields):
        if field != "action" and field not in FIELDS[name]:
            owner = next((action for action, fields in FIELDS.items() if field in fields), "")
            hint = f"it belongs to {owner}" if owner else "remove it"
            scope.report.warn(part.at(field), f"{field} does nothing with {name}", hint)
    needed = _NEEDED.get(name)
    if needed and not part.says(needed):
        scope.report.error(part.where, f"{name} needs {needed}", f"write {needed}: …")
    if part.flag("imaHash"):
        text = "imaHash is not supported yet: hashes of files come in a later version"
        scope.report.error(part.at("imaHash"), text, "remove it")


def _check_place(part: Part, name: str, is_return: bool, scope: Scope) -> None:
    where = part.at("action")
    if name == "Override" and is_return:
        hint = "use matchActions; LSM hooks and system calls can be denied before they run"
        scope.report.error(where, "a call that has returned cannot be overridden", hint)
    if name == "NotifyEnforcer" and not scope.has_enforcer:
        hint = "write spec.enforcers: [{calls: [sys_…]}]"
        scope.report.error(where, "NotifyEnforcer needs an enforcer", hint)
    if scope.kind == "lsm" and (part.flag("kernelStackTrace") or part.flag("userStackTrace")):
        field = "kernelStackTrace" if part.flag("kernelStackTrace") else "userStackTrace"
        hint = "use a kprobe on security_… for stacks"
        scope.report.error(part.at(field), "events of LSM hooks carry no stack traces", hint)


def _error(part: Part, name: str, scope: Scope) -> int:
    if name not in ("Override", "NotifyEnforcer"):
        return 0
    written, where = part.number("argError"), part.at("argError")
    if name == "NotifyEnforcer" and not written:
        if not part.says("argSig"):
            scope.report.error(part.where, "NotifyEnforcer needs argError or argSig", "write argError: -1")
        return 0
    if scope.kind == "uprobe":
        return -abs(written)
    if written == 0:
        text = "Override needs argError" if not part.has("argError") else "argError 0 denies nothing"
        scope.report.error(where, text, "write argError: -1 (EPERM)")
    elif written > 0:
        scope.report.warn(where, f"argError {written} is taken as -{written}", "errors are negative")
    return -abs(written)


def _sock(part: Part, scope: Scope) -> int:
    """The position that argSock means: of args, else the argument of that number; without it the first
    socket."""
    wanted = part.number("argSock")
    sockets = [n for n, each in enumerate(scope.arguments) if each.type in SOCKETS]
    if wanted in sockets:
        return wanted
    by_index = [n for n in sockets if scope.arguments[n].index == wanted or not part.has("argSock")]
    if not by_index:
        hint = "point argSock at an entry of args with the type sock or socket"
        scope.report.error(part.at("argSock"), f"argument {wanted} is no socket", hint)
    return by_index[0] if by_index else 0


def _rate(part: Part, scope: Scope) -> int:
    if not part.has("rateLimit"):
        if part.has("rateLimitScope"):
            text = "rateLimitScope does nothing without rateLimit"
            scope.report.warn(part.at("rateLimitScope"), text, "write rateLimit: 1m")
        return 0
    try:
        return parse_duration_ns(part.text("rateLimit"))
    except Wrong as error:
        scope.report.wrong(part.at("rateLimit"), error)
        return 0


def _check_together(parts: Sequence[Part], scope: Scope) -> None:
    """Two actions of the same name, or Post beside NoPost."""
    seen: dict[str, Part] = {}
    for part in parts:
        name = part.text("action")
        if name in seen:
            hint = f"first in line {seen[name].where.line}; remove one"
            scope.report.error(part.at("action"), f"{name} is given twice", hint)
        seen.setdefault(name, part)
    if "Post" in seen and "NoPost" in seen:
        scope.report.error(seen["NoPost"].at("action"), "NoPost contradicts Post", "remove one of them")
