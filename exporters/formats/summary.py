# SPDX-License-Identifier: Apache-2.0
"""A record as one line for people: `open /etc/shadow by /bin/cat`, `connect 203.0.113.7:443 by
/usr/bin/curl`."""

from __future__ import annotations

from collections.abc import Sequence

from exporters.formats.facts import Facts, File, Socket
from exporters.formats.lineage import Subject

_MOST = 1024
"""Characters of a summary; arguments can be very long."""


def summary(
    facts: Facts,
    subject: Subject | None,
    files: Sequence[File] = (),
    socket: Socket | None = None,
    done: Sequence[str] = (),
) -> str:
    """What happened. `files`, `socket` and `done` are those of the facts, which the caller has at hand."""
    who = subject.fields.get("binary", "") if subject is not None else ""
    kind = facts.kind
    if kind == "policy":
        text = _call(facts, files, socket)
        text += f" by {who or 'an unknown process'}" + (f" ({', '.join(done)})" if done else "")
    elif kind == "exec":
        arguments = subject.fields.get("arguments", "") if subject is not None else ""
        text = f"exec {who} {arguments}".rstrip()
    elif kind == "exit":
        signal, status = facts.text("signal"), facts.number("status") or 0
        text = f"exit of {who} by {signal}" if signal else f"exit of {who} with status {status}"
    elif kind == "loader":
        text = f"{who} loaded {facts.text('path')}"
    elif kind == "fork":
        text = f"fork of {who}"
    elif kind == "detection":
        text = f"detection: {title_of(facts)}{_line_of(facts.event.get('event'))}"
    else:
        text = _own(facts)
    return text[:_MOST]


def _line_of(event: object) -> str:
    """The line of a log that a detection is of; empty when it is of an event."""
    own = event.get("tracehound") if type(event) is dict else None
    line = own.get("log_line") if type(own) is dict else None
    text = line.get("line") if type(line) is dict else None
    return f": {text}" if type(text) is str else ""


def title_of(facts: Facts) -> str:
    """Title of the rule that a detection is of."""
    rule = facts.event.get("rule")
    for found in (facts.event.get("title"), rule.get("title") if type(rule) is dict else rule):
        if type(found) is str and found:
            return found
    return "untitled rule"


def _call(facts: Facts, files: Sequence[File], socket: Socket | None) -> str:
    verb = facts.deed.verb if facts.deed is not None else "call"
    what = ", ".join([file.path for file in files[:2]])
    if not what and socket is not None:
        what = socket.path or end_point(socket.peer or socket.local, socket.peer_port or socket.local_port)
    if verb in ("call", "use", "access"):
        verb = f"{verb} {facts.function}"
    text = f"{verb} {what}" if what else f"{verb} ({facts.function})"
    message = facts.text("message")
    return f"{message}: {text}" if message else text


def end_point(address: str, port: int) -> str:
    """`203.0.113.7:443`, `[::1]:443`, without a port where there is none."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _own(facts: Facts) -> str:
    event = facts.event
    if facts.type == "loss":
        where = event.get("hook") or event.get("lane")
        return f"{event.get('count')} events lost: {event.get('cause')} ({where})"
    if facts.type == "log_line":
        return f"{event.get('source')}: {event.get('line')}"
    name = facts.type.replace("_", " ")
    short = ", ".join([f"{key}={value}" for key, value in event.items() if type(value) in (str, int, bool)])
    return f"{name}: {short}" if short else name
