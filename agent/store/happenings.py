# SPDX-License-Identifier: Apache-2.0
"""A record as one row of a timeline: what happened, in one line for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.store.answers import Happening
from agent.store.flat import COLUMNS, flatten

_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_VERBS = (
    ("openat", "open"), ("file_open", "open"), ("unlink", "remove"), ("rename", "rename"),
    ("connect", "connect"),
    ("accept", "accept"), ("bind", "bind"), ("listen", "listen"), ("close", "close"), ("setuid", "set uid"),
    ("sendmsg", "send"), ("recvmsg", "receive"), ("mount", "mount"), ("ptrace", "trace"),
)  # fmt: skip
_LONGEST = 400


def happening_of(record: Mapping[str, Any]) -> Happening:
    """The row of any record of the log."""
    row = flatten(record, "")

    def value(name: str) -> Any:
        return row[_PLACE[name]]

    address = endpoint(value("address"), value("port"))
    return Happening(
        time_ns=value("time"),
        sequence=value("sequence") or 0,
        type=value("type") or "",
        exec_id=value("exec_id") or "",
        summary=_summary(value, record, address)[:_LONGEST],
        function=value("function") or "",
        policy=value("policy") or "",
        action=value("action") or "",
        path=value("path") or "",
        address=address,
        record=dict(record),
    )


def endpoint(address: str | None, port: int | None) -> str:
    """`203.0.113.7:443`, `[2001:db8::1]:443`; without a port the address alone."""
    if not address:
        return ""
    text = f"[{address}]" if ":" in address else address
    return f"{text}:{port}" if port else text


def _summary(value: Any, record: Mapping[str, Any], address: str) -> str:
    type_ = value("type") or ""
    if type_ == "process_exec":
        return f"exec {value('exe') or '?'} {value('args') or ''}".rstrip()
    if type_ == "process_exit":
        return f"killed by {value('signal')}" if value("signal") else f"exit status {value('status') or 0}"
    if value("rule"):
        return f"{value('level') or 'detection'}: {value('rule')}"
    function = value("function")
    if function is None:
        own = record.get("tracehound") or {}
        return f"{type_} {_brief(own.get(type_))}".rstrip()
    target = (
        f"{address}/{value('protocol')}" if address and value("protocol") else address or value("path") or ""
    )
    verb = next((verb for part, verb in _VERBS if part in function), function)
    return f"{verb} {target}".rstrip()


def _brief(content: Any) -> str:
    if not isinstance(content, dict):
        return ""
    return ", ".join(f"{key} {value}" for key, value in content.items() if isinstance(value, str | int))
