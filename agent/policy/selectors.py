# SPDX-License-Identifier: Apache-2.0
"""selectors of a hook, with their macros."""

from __future__ import annotations

from collections.abc import Mapping

from agent.configuration.values import shorten
from agent.policy.actions import read_actions
from agent.policy.contradictions import check_arguments, check_processes
from agent.policy.filters import read_filters
from agent.policy.model import Selector
from agent.policy.processes import (
    read_binaries,
    read_capabilities,
    read_credentials,
    read_namespace_changes,
    read_namespaces,
    read_pids,
)
from agent.policy.report import Report, nearest
from agent.policy.scope import Scope, type_of
from agent.policy.shape import Leaf, Part
from agent.policy.workloads import read_workload

_UNFILTERED = ("label", "matchActions", "matchReturnActions")


def read_selectors(part: Part, macros: Mapping[str, Part], scope: Scope) -> tuple[Selector, ...]:
    """The selectors of a hook, in their order."""
    merged = [_with_macros(each, macros, scope.report) for each in part.parts("selectors")]
    for each in merged[:-1]:
        if not each.broken and all(name in _UNFILTERED for name in each.fields):
            hint = "the first selector that matches acts; put this one last"
            scope.report.warn(each.where, "matches every call, the selectors after it never act", hint)
    return tuple(_selector(each, scope) for each in merged)


def _with_macros(part: Part, macros: Mapping[str, Part], report: Report) -> Part:
    fields: dict[str, Leaf] = {name: leaf for name, leaf in part.fields.items() if name != "macros"}
    broken = part.broken
    for leaf in part.leaves("macros"):
        macro = macros.get(leaf.value)
        if macro is None:
            hint = nearest(leaf.value, macros) or "add it under spec.selectorsMacros"
            report.error(leaf.where, f"there is no macro {shorten(leaf.value)}", hint)
            continue
        for name in macro.fields:
            if name in fields:
                text = f"{name} of the macro {shorten(leaf.value)} is already there"
                report.error(leaf.where, text, f"it also stands in line {fields[name].where.line}")
        fields = {**macro.fields, **fields}
        broken |= macro.broken
    return Part(part.where, fields, broken)


def _selector(part: Part, scope: Scope) -> Selector:
    report, errors = scope.report, scope.report.errors
    _check_return(part, scope)
    workloads = [read_workload(each, report) for each in part.parts("matchWorkloads")]
    returned = () if scope.returned is None else (scope.returned,)
    selector = Selector(
        label=part.text("label"),
        arguments=read_filters(part, "matchArgs", scope.arguments, scope),
        data=read_filters(part, "matchData", scope.data, scope),
        return_arguments=read_filters(part, "matchReturnArgs", returned, scope) if returned else (),
        pids=read_pids(part.parts("matchPIDs"), report),
        binaries=read_binaries(part.parts("matchBinaries"), report),
        parent_binaries=read_binaries(part.parts("matchParentBinaries"), report),
        namespaces=read_namespaces(part.parts("matchNamespaces"), report),
        namespace_changes=read_namespace_changes(part.parts("matchNamespaceChanges")),
        capabilities=read_capabilities(part.parts("matchCapabilities"), report),
        capability_changes=read_capabilities(part.parts("matchCapabilityChanges"), report),
        credentials=read_credentials(part.parts("matchCurrentCred"), report),
        workload=workloads[0] if workloads else None,
        actions=read_actions(part, "matchActions", scope),
        return_actions=read_actions(part, "matchReturnActions", scope),
        where=part.where,
    )
    if report.errors == errors and not part.broken:  # what is wrong means nothing that could contradict
        _check_contradictions(selector, scope)
    return selector


def _check_return(part: Part, scope: Scope) -> None:
    for name in ("matchReturnArgs", "matchReturnActions"):
        if not part.has(name) or scope.returns:
            continue
        if scope.kind in ("lsm", "tracepoint", "raw_tracepoint", "usdt"):
            scope.report.error(part.at(name), f"a {scope.kind} hook has no return value", "use kprobes")
        else:
            hint = "write return: true and returnArg"
            scope.report.error(part.at(name), f"{name} needs the return value", hint)


def _check_contradictions(selector: Selector, scope: Scope) -> None:
    groups = (
        (selector.arguments, scope.arguments),
        (selector.data, scope.data),
        (selector.return_arguments, () if scope.returned is None else (scope.returned,)),
    )
    for filters, inputs in groups:
        check_arguments(filters, [type_of(each) for each in inputs], scope.report)
    check_processes(selector, scope.report)
