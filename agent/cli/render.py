# SPDX-License-Identifier: Apache-2.0
"""One line of text per record of the log: `tracehound events` and `tracehound run --output compact`.

    21:18:46.195 host         root     exec    369 /usr/bin/cat /etc/passwd  ← systemd › sshd › bash

Whatever a process calls itself or gets as arguments, the line stays one line and holds no escape
sequences but our own colours (see `agent.cli.text`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.cli.clock import Clock, seconds_between
from agent.cli.color import palette
from agent.cli.lineage import Seen
from agent.cli.render_own import SHOWN, render_own
from agent.cli.render_policy import describe_hook
from agent.cli.render_process import argument_text, binary_text, details, marks
from agent.cli.text import clean, shorten
from agent.configuration.units import human_duration

Record = Mapping[str, Any]


class RenderContext:
    """What rendering keeps between records: names for breadcrumbs, the clock, the colours."""

    def __init__(
        self, *, color: bool = False, wide: bool = False, resolve: Callable[[str], str | None] | None = None
    ) -> None:
        """`resolve` may know the binary of an exec_id that the records shown so far do not tell."""
        self.wide = wide
        self.seen = Seen(resolve)
        self.clock = Clock(full=wide)
        self.color = palette(color)


def render_event(record: Record, context: RenderContext) -> str:
    """The record as one line without a newline. Never raises: what is no record is shown escaped."""
    try:
        return _render(record, context)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, ArithmeticError):
        return f"? not a known record: {clean(shorten(str(record), 0 if context.wide else SHOWN))}"


def learn(record: Record, context: RenderContext) -> None:
    """Take note of a record's process without showing it, for the breadcrumbs of later ones."""
    event = record.get("process_exec")
    try:
        if event is not None:
            context.seen.note(event["process"], record.get("tracehound", {}).get("user"))
    except (KeyError, TypeError, AttributeError):
        return


def _render(record: Record, context: RenderContext) -> str:
    kind = next(iter(record), "")
    if not kind.startswith("process_"):
        kind = next((key for key in record if key.startswith("process_")), "")
        if not kind:
            return render_own(record, context.clock, context.color, whole=context.wide)
    event, own = record[kind], record.get("tracehound") or {}
    if kind == "process_exec":
        body = _exec(event, own, context)
    elif kind == "process_exit":
        body = _exit(event, own, record["time"], context)
    else:
        body = _hook(kind, event, own, context)
    crumb = context.seen.breadcrumb(event.get("parent"), own.get("ancestry"))
    color = context.color
    tail = f"  {color.dim}← {crumb}{color.end}" if crumb else ""
    if context.wide:
        tail += details(event, own, context.seen, context.clock)
    return f"{color.dim}{context.clock(record['time'])}{color.end} {body}{tail}"


def _exec(event: Record, own: Record, context: RenderContext) -> str:
    process, color = event["process"], context.color
    user = own.get("user", "")
    context.seen.note(process, user)
    head = _head(process, user, f"{color.good}exec{color.end}", context)
    binary = f"{color.bold}{binary_text(process, own, context.wide)}{color.end}"
    arguments = argument_text(process, own, context.wide)
    warnings = marks(process, own)
    if warnings:
        arguments += f"{' ' if arguments else ''}{color.bad}[{warnings}]{color.end}"
    return f"{head}{binary} {arguments}" if arguments else f"{head}{binary}"


def _exit(event: Record, own: Record, time: str, context: RenderContext) -> str:
    process, color = event["process"], context.color
    head = _head(process, _user_at_exit(event, context), f"{color.dim}exit{color.end}", context)
    signal, status = event.get("signal"), event.get("status", 0)
    if signal:
        outcome = f"{color.bad}{clean(signal)}{color.end}"
    else:
        outcome = f"{color.warn if status else ''}status {int(status)}{color.end if status else ''}"
    lived = seconds_between(process.get("start_time", ""), time)
    after = f" after {human_duration(lived)}" if lived is not None else ""
    arguments = argument_text(process, own, True) if context.wide else ""
    return f"{head}{binary_text(process, own, context.wide)}{arguments and ' '}{arguments} {outcome}{after}"


def _user_at_exit(event: Record, context: RenderContext) -> str:
    """The name from the process's exec; one that never called exec is whoever its parent is."""
    process, parent = event["process"], event.get("parent") or {}
    known = context.seen.user(process["exec_id"])
    if not known and parent.get("uid", 0) == process.get("uid", 0):
        known = context.seen.user(process.get("parent_exec_id", ""))
    return known


def _hook(kind: str, event: Record, own: Record, context: RenderContext) -> str:
    """Events of policies and of types that this version does not know."""
    process, color = event["process"], context.color
    verb = clean(kind.removeprefix("process_"))
    head = _head(process, context.seen.user(process["exec_id"]), f"{color.info}{verb}{color.end}", context)
    return f"{head}{binary_text(process, own, context.wide)} {describe_hook(event, color, own)}"


def _head(process: Record, user: str, verb: str, context: RenderContext) -> str:
    """Container or `host`, user, what happened, pid: aligned columns."""
    color = context.color
    pod, container = process.get("pod"), process.get("docker")
    if pod:
        where = clean(f"{pod.get('namespace', '')}/{pod.get('name', '')}")
    else:
        where = clean(container[:12]) if container else "host"
    uid = process.get("uid", 0)
    who = clean(user) if user else "root" if not uid and where == "host" else str(int(uid))
    place = f"{color.info}{where:<12}{color.end}" if where != "host" else "host        "
    person = f"{who:<8}" if uid else f"{color.warn}{who:<8}{color.end}"
    return f"{place} {person} {verb} {process['pid']:>7d} "
