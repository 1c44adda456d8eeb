# SPDX-License-Identifier: Apache-2.0
"""args, data and returnArg of a hook: what it reads."""

from __future__ import annotations

import re

from agent.configuration.values import shorten
from agent.policy import bounds
from agent.policy.model import Argument
from agent.policy.report import Report, nearest
from agent.policy.shape import Part
from agent.policy.typenames import BUFFERS, FOLDED, LARGE, TYPES, find_type

_STEP = r"(?:[A-Za-z_][A-Za-z0-9_]*(?:\[[0-9]{1,6}\])*|\[[0-9]{1,6}\])"
_PATH = re.compile(rf"{_STEP}(?:\.{_STEP})*")
MOST_INDEX = {
    "kprobe": bounds.FUNCTION_ARGUMENTS,
    "fentry": bounds.FUNCTION_ARGUMENTS,
    "lsm": bounds.FUNCTION_ARGUMENTS,
    "raw_tracepoint": bounds.FUNCTION_ARGUMENTS,
    "tracepoint": bounds.TRACEPOINT_FIELDS,
    "uprobe": bounds.FUNCTION_ARGUMENTS,
    "usdt": bounds.FUNCTION_ARGUMENTS,
}
"""By kind of hook: arguments (or fields) that there can be."""


def read_arguments(part: Part, kind: str, is_syscall: bool, report: Report) -> tuple[Argument, ...]:
    """`args` of a hook."""
    most = bounds.SYSCALL_ARGUMENTS if is_syscall else MOST_INDEX[kind]
    for each in part.parts("args"):
        _check_index(each, most, report)
        if each.has("source"):
            hint = "move the entry to data, or remove source"
            report.error(each.at("source"), "source is for entries of data only", hint)
        if each.has("resolve") and kind == "tracepoint":
            hint = "write raw: true to reach the tracepoint's arguments"
            report.error(each.at("resolve"), "a field of a tracepoint has no members", hint)
    return tuple(_argument(each, report) for each in part.parts("args"))


def read_data(part: Part, report: Report) -> tuple[Argument, ...]:
    """`data` of a hook."""
    for each in part.parts("data"):
        if not each.has("source") and "source" not in each.broken:
            report.error(each.where, "an entry of data needs a source", "write source: current_task")
        elif each.has("source") and not each.has("resolve") and "resolve" not in each.broken:
            hint = "write resolve: with a member, as in cred.uid.val; of pt_regs a register"
            report.error(each.where, f"{each.text('source')} needs resolve", hint)
    both = len(part.parts("args")) + len(part.parts("data"))
    if both > bounds.ARGUMENTS:
        report.error(part.at("data"), f"args and data are {both}", f"at most {bounds.ARGUMENTS} are allowed")
    return tuple(_argument(each, report) for each in part.parts("data"))


def read_return(part: Part, report: Report) -> Argument | None:
    """`returnArg`, where `return: true` asks for it."""
    found, returns = part.part("returnArg"), part.flag("return")
    if returns and found is None and "returnArg" not in part.broken:
        hint = "write returnArg: {index: 0, type: int}"
        report.error(part.at("return"), "return needs returnArg", hint)
    if found is None:
        return None
    if not returns:
        report.warn(part.at("returnArg"), "returnArg does nothing without return", "write return: true")
    if found.number("index"):
        report.error(found.at("index"), "there is one return value", "write index: 0")
    for name in ("sizeArgIndex", "returnCopy", "source"):
        if found.says(name):
            report.error(found.at(name), f"{name} does not apply to a return value", "remove it")
    made = _argument(found, report)
    return made if returns else None


def _argument(part: Part, report: Report) -> Argument:
    _check_resolve(part, report)
    name = _type(part, report)
    _check_buffer(part, name, report)
    size = part.number("sizeArgIndex")
    return Argument(
        index=part.number("index"),
        type=name,
        label=part.text("label"),
        resolve=part.text("resolve"),
        size_index=size - 1 if size else None,
        return_copy=part.flag("returnCopy"),
        max_data=part.flag("maxData"),
        source=part.text("source"),
        btf_type=part.text("btfType"),
        btf_module=part.text("btfTypeModule"),
        where=part.where,
    )


def _type(part: Part, report: Report) -> str:
    written = part.text("type", "auto")
    found = find_type(written)
    if found is None:
        hint = nearest(written, (*TYPES, *FOLDED)) or "docs/policies/reference.md lists all"
        report.error(part.at("type"), f"{shorten(written)} is no type of arguments", hint)
        return "auto"
    return found.name


def _check_index(part: Part, most: int, report: Report) -> None:
    if part.number("index") >= most:
        text = f"argument {part.number('index')} does not exist"
        report.error(part.at("index"), text, f"indexes are 0 to {most - 1} here")


def _check_buffer(part: Part, name: str, report: Report) -> None:
    if part.number("sizeArgIndex") and name not in BUFFERS:
        hint = f"it is for {', '.join(sorted(BUFFERS))}"
        report.error(part.at("sizeArgIndex"), f"a {name} has no size argument", hint)
    if part.flag("maxData") and name not in LARGE:
        report.error(
            part.at("maxData"), f"maxData does not apply to {name}", f"it is for {', '.join(sorted(LARGE))}"
        )
    if part.flag("maxData") and part.flag("returnCopy"):
        report.error(part.at("maxData"), "maxData does not go with returnCopy", "remove one of them")
    if name in ("char_buf", "char_iovec") and not part.number("sizeArgIndex") and not part.flag("returnCopy"):
        hint = "write sizeArgIndex: (from 1), or returnCopy: true for what the call returns"
        report.error(part.where, f"a {name} needs a length", hint)


def _check_resolve(part: Part, report: Report) -> None:
    path = part.text("resolve")
    if not path:
        return
    if not _PATH.fullmatch(path):
        hint = "write members and elements, as in mm.owner.pid or a[2].b"
        report.error(part.at("resolve"), f"{shorten(path)} is no path of members", hint)
    elif len(re.findall(r"[A-Za-z_]\w*|\[", path)) > bounds.RESOLVE_STEPS:
        text = f"{shorten(path)} goes too deep"
        report.error(part.at("resolve"), text, f"at most {bounds.RESOLVE_STEPS} members and elements")
