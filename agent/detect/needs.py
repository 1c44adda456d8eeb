# SPDX-License-Identifier: Apache-2.0
"""What rules need: evaluable as they are, with a hook that a policy gives, or not at all, with the reason.

Execs are always there. Everything else is an event of a policy: of the library (agent/detect/offers.py), or
of one that agent/detect/suggestions.py writes for exactly what the rules ask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from agent.detect.conditions import And, Check, Match, Node, Not, checks_of, fields_of
from agent.detect.deeds import bare_name, syscalls_of
from agent.detect.fields import field_of, perhaps
from agent.detect.fold import condition_for, fold
from agent.detect.loglines import is_line_view, service_in
from agent.detect.offers import Offer, library, policies_for
from agent.detect.routing import route
from agent.detect.rules import Rule
from agent.detect.services import Sources, way_out
from agent.detect.views import AUDIT_TYPED


class State(StrEnum):
    """Whether a rule is evaluated."""

    SUPPORTED = "supported"
    NEEDS_HOOK = "needs hook"
    """It would be, were a hook loaded that no running policy has."""
    REFUSED = "not evaluable"


class Need(NamedTuple):
    """Events that a rule asks for and that a policy has to give."""

    hook: str
    """The function to hook: `security_file_open`, `tcp_connect`, `sys_mknod`; empty when `policies` says
    all."""
    what: str
    """In words."""
    checks: tuple[Check, ...] = ()
    """Names of files of which one must fit; empty: not known."""
    policies: tuple[str, ...] = ()
    """Policies of the library that give such events, at least for a part of the names."""
    is_covered: bool = True
    """Whether these policies give all that the rule asks; else it sees a part, and a suggestion sees the
    rest."""


class Verdict(NamedTuple):
    """What is said of one rule."""

    rule: Rule
    state: State
    reason: str = ""
    """Why not, or which hook is missing; empty when supported."""
    needs: tuple[Need, ...] = ()
    notes: tuple[str, ...] = ()
    """Parts of the rule that never hold, each with its reason."""

    @property
    def hooks(self) -> tuple[str, ...]:
        """Functions that have to be hooked."""
        return tuple(dict.fromkeys(need.hook for need in self.needs if need.hook))

    @property
    def policies(self) -> tuple[str, ...]:
        """Policies of the library that give events for it."""
        return tuple(dict.fromkeys(name for need in self.needs for name in need.policies))

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables of the environment that it asks for; the log has what `enrich.environment` names."""
        fields = (match.check.field for match in checks_of(self.rule.condition))
        return tuple(sorted({one.removeprefix(_VARIABLE) for one in fields if one.startswith(_VARIABLE)}))


_VARIABLE = "Environment."
"""What fields begin with that stand for a variable (agent/detect/fields.yaml)."""
NO_LOGS = Sources()
Running = Mapping[str, Collection[str]]
"""Functions that running policies hook, by the policy's name."""


def judge(rules: Iterable[Rule], running: Running | None = None, logs: Sources = NO_LOGS) -> list[Verdict]:
    """What is said of rules. `running` None: as if every hook could be had. `logs`: what is collected."""
    offers = library()
    return [_judge(rule, running, offers, logs) for rule in rules]


def _judge(rule: Rule, running: Running | None, offers: tuple[Offer, ...], logs: Sources) -> Verdict:
    views, refusal = route(rule.logsource)
    refusal = refusal or next((why for view in views if (why := _uncollected(rule, view, logs))), "")
    if refusal:
        return Verdict(rule, State.REFUSED, refusal)
    nodes = {view: condition_for(rule.condition, view) for view in views}
    there = {view: node for view, node in nodes.items() if node is not None}
    notes = tuple(dict.fromkeys(_never(rule, views)))
    if not there:
        always = any(fold(rule.condition, view) is True for view in views)
        why = "holds for every event: nothing of what it asks for is ever there" if always else ""
        return Verdict(rule, State.REFUSED, why or "; ".join(notes) or "can never hold")
    needs = tuple(need for view, node in there.items() if (need := _need(view, node, offers)) is not None)
    if any(_is_given(view, node) for view, node in there.items()) and len(needs) < len(there):
        return Verdict(rule, State.SUPPORTED, "", needs, notes)
    missing = [need for need in needs if running is not None and not _is_met(need, running)]
    if missing and len(missing) == len(needs):
        names = " or ".join(dict.fromkeys(need.hook or need.what for need in missing))
        return Verdict(rule, State.NEEDS_HOOK, f"needs {names}, which no running policy hooks", needs, notes)
    return Verdict(rule, State.SUPPORTED, "", needs, notes)


def _uncollected(rule: Rule, view: str, logs: Sources) -> str:
    """Why a view of log lines has none; empty for one that has, and for other views."""
    if not is_line_view(view) or logs.serve(service := service_in(view)):
        return ""
    what = f"the log of {service}" if service else "any log"
    other = "; if it is meant for executions, add `category: process_creation`"
    meant = other if not service and _is_of_execs(rule.condition) else ""
    return f"asks for lines of {what}, which are not collected: {way_out(service)}{meant}"


def _is_of_execs(node: Node) -> bool:
    """Whether fields of executions are all that is asked for."""
    names = fields_of(node)
    return "" not in names and all(field_of("process_creation", one).source is not None for one in names)


def _is_given(view: str, node: Node) -> bool:
    """Whether execs alone, or the lines that are collected, give a view its events."""
    given = ("process_creation", "process_termination", "auditd/EXECVE", *AUDIT_TYPED)
    if view in given or is_line_view(view):
        return True
    return view == "auditd/SYSCALL" and not _calls(node)


def _need(view: str, node: Node, offers: tuple[Offer, ...]) -> Need | None:
    """What a view's events need besides execs; None: nothing."""
    if view == "policy":
        return _need_of_policies(node)
    if view == "auditd/SYSCALL":
        calls = _calls(node)
        return _need_of_calls(calls, offers) if calls else None
    if view in _FILE_HOOKS:
        hook, what, field = _FILE_HOOKS[view]
        checks = required(node, field) or ()
        names, covered = policies_for(offers, hook, checks, view == "file_event")
        return Need(hook, what, tuple(checks), names, covered)
    if view in ("network_connection", "dns_query"):
        return _need_of_network(view, node, offers)
    return None


_FILE_HOOKS = {
    "auditd/PATH": ("security_file_open", "files that are opened", "name"),
    "file_event": ("security_file_open", "files that are written", "TargetFilename"),
    "file_access": ("security_file_open", "files that are opened", "TargetFilename"),
    "file_delete": ("security_path_unlink", "files that are removed", "TargetFilename"),
    "file_rename": ("security_path_rename", "files that are renamed", "TargetFilename"),
}


def _need_of_policies(node: Node) -> Need:
    names = [str(check.value) for check in required(node, "Policy") or () if check.op == "equals"]
    what = f"policy {' or '.join(names)}" if names else "any policy"
    return Need("", what, (), tuple(names))


def _need_of_calls(calls: tuple[str, ...], offers: tuple[Offer, ...]) -> Need:
    found = [
        offer.policy
        for offer in offers
        if any(call in syscalls_of(offer.function) for call in calls) and offer.is_unfiltered
    ]
    what = "the system call" + ("s " if len(calls) > 1 else " ") + ", ".join(calls)
    return Need(f"sys_{calls[0]}", what, (), tuple(dict.fromkeys(found)), bool(found))


def _need_of_network(view: str, node: Node, offers: tuple[Offer, ...]) -> Need:
    asks_name = view == "dns_query" or required(node, "DestinationHostname") is not None
    if not asks_name:
        return Need(
            "tcp_connect",
            "connections that are begun",
            (),
            ("outbound-connects",),
        )
    given = [offer.policy for offer in offers if offer.function == "udp_sendmsg" and offer.has_content]
    what = "questions to name servers, with their content" + (
        ", and connections" if view != "dns_query" else ""
    )
    extra = ("outbound-connects",) if view != "dns_query" else ()
    return Need("udp_sendmsg", what, (), (*dict.fromkeys(given), *extra), bool(given))


def _is_met(need: Need, running: Running) -> bool:
    if any(name in running for name in need.policies):
        return True
    if not need.hook:
        return not need.policies and bool(running)
    wanted = bare_name(need.hook)[0]
    others = (function for functions in running.values() for function in functions)
    return any(bare_name(function)[0] == wanted for function in others)


def _calls(node: Node) -> tuple[str, ...]:
    """System calls of which one has to be made, unless executions are among them or any will do."""
    checks = required(node, "SYSCALL")
    calls = sorted(str(check.value) for check in checks or () if check.op == "equals")
    return () if not calls or {"execve", "execveat"} & set(calls) else tuple(calls)


def required(node: Node, field: str) -> frozenset[Check] | None:
    """Checks of a field of which one has to hold; None when the condition can hold without."""
    if isinstance(node, Match):
        return frozenset([node.check]) if node.check.field == field else None
    if isinstance(node, Not):
        return None
    parts = [required(part, field) for part in node.parts]
    there = [part for part in parts if part is not None]
    if isinstance(node, And):
        return min(there, key=len, default=None)
    return frozenset().union(*there) if len(there) == len(parts) else None


# What never holds


def _never(rule: Rule, views: Iterable[str]) -> Iterator[str]:
    """Checks that hold in none of the views, by selection, with the reason."""
    for match in checks_of(rule.condition):
        if all(fold(match, view) is False for view in views):
            yield f"{match.selection}: {_why_never(match, tuple(views))}"


def _why_never(match: Match, views: tuple[str, ...]) -> str:
    section = views[0].partition("/")[0]
    field = field_of(section, match.check.field)
    if field.name == "type" and section == "auditd":
        kind = str(match.check.value).upper()
        return f"type {kind} is {_RECORDS.get(kind, _OTHER_RECORD)}"
    other = perhaps(section, match.check.field) if field.never else ""
    hint = f"; perhaps {other}" if other else ""
    return f"{match.check.field}: {field.never or 'never has this value'}{hint}"


_OTHER_RECORD = "no record that executions and hooks give; programs in user space write it to auditd"
_RECORDS = {
    **dict.fromkeys(("TTY", "USER_TTY"), "what is typed, which pam_tty_audit and the shell write to auditd"),
    **dict.fromkeys(
        ("ADD_USER", "DEL_USER", "ADD_GROUP", "DEL_GROUP", "USER_MGMT", "GRP_MGMT", "USER_CHAUTHTOK"),
        "written to auditd by useradd and its like, in user space",
    ),
    **dict.fromkeys(("SERVICE_START", "SERVICE_STOP"), "written to auditd by systemd, in user space"),
    **dict.fromkeys(
        (
            "USER_AUTH",
            "USER_ACCT",
            "USER_LOGIN",
            "USER_START",
            "USER_END",
            "CRED_ACQ",
            "CRED_DISP",
            "USER_ERR",
        ),
        "written to auditd by PAM, in user space",
    ),
    "USER_CMD": "written to auditd by sudo, in user space",
    "CONFIG_CHANGE": "written by auditd's own part of the kernel, about its rules",
    "ANOM_PROMISCUOUS": "written by auditd's own part of the kernel; no hook of ours gives it yet",
}
"""Types of audit records that are made of no event of ours.
https://github.com/linux-audit/audit-documentation/wiki/SPEC-Audit-Record-Types"""
